// The dashboard: the list of streams, the chosen one, and the line to the service.
import { storedKey } from "./api.js";
import { Keys } from "./keys.js";
import { Live } from "./live.js";
import { StreamView } from "./stream.js";
import { Streams } from "./streams.js";

const STATES = {
  connecting: "Connecting", live: "Live", reconnecting: "Reconnecting…", paused: "Paused", key: "Key needed",
};
const place = document.getElementById("detail");
const link = document.getElementById("link");
const wide = matchMedia("(min-width: 900px)");
let view = null;

const streams = new Streams((size) => {
  document.body.classList.toggle("empty", size === 0);
  if (size === 0) showEmpty();
  else if (!chosen()) chooseOne();
  else if (!view) show();
});
const keys = new Keys(() => live.again());
const live = new Live(heard, state);

function heard(name, data) {
  if (name === "reading" && data.stream === view?.id) view.reading(data);
  else if (name === "kind" && data.stream === view?.id) view.kind(data);
  else if (name === "history" && data.stream === view?.id) view.history(data.readings);
  else if (name === "latest") streams.glance(data.streams).catch(() => {});
}

function state(now, problem) {
  link.dataset.state = now;
  document.getElementById("link-text").textContent = STATES[now];
  if (now === "live") {
    streams.load().catch(() => {});
    view?.refresh().catch(() => {});
  }
  if (now === "key") {
    const wrong = storedKey() && problem.status === 401 ? "This key is not accepted." : "";
    keys.ask(problem.status === 403 ? "This key may not read: the page needs one with the scope “read”." : wrong);
  }
}

const chosen = () => decodeURIComponent(location.hash.slice(1));

/** With room for both, some stream is always shown beside the list. */
function chooseOne() {
  if (wide.matches && streams.ids.length) location.replace(`#${encodeURIComponent(streams.ids.sort()[0])}`);
}

function show() {
  const id = chosen();
  document.body.classList.toggle("has-stream", Boolean(id));
  if (view?.id === id) return;
  view?.close();
  view = null;
  place.replaceChildren();
  streams.choose(id);
  if (!id) {
    document.title = "streamnorm";
    live.follow(null);
    if (streams.ids.length) chooseOne();
    return;
  }
  document.title = `${id} · streamnorm`;
  view = new StreamView(place, id, {
    profile: (name, features) => streams.health(name, features),
    gone: (name) => {
      if (chosen() !== name) return;
      if (streams.has(name)) streams.refresh(name).catch(() => {});
      location.replace("#");
    },
  });
  live.follow(id);
}

function showEmpty() {
  if (place.querySelector(".hero")) return;
  view?.close();
  view = null;
  place.replaceChildren(document.getElementById("empty-template").content.cloneNode(true));
  const here = new URL(".", location.href).href;
  const key = storedKey() ? ` -H "Authorization: Bearer $STREAMNORM_KEY"` : "";
  const curl = `curl ${here}v1/streams/boiler-7/readings${key} --json '{"values": {"temp": 21.4, "door": 0}}'`;
  document.getElementById("curl").textContent = curl;
  document.getElementById("demo").textContent = `streamnorm demo --url ${here.replace(/\/$/, "")}`;
  const copy = document.getElementById("copy");
  copy.hidden = !navigator.clipboard;
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(curl);
    copy.textContent = "Copied";
  });
}

addEventListener("hashchange", show);
addEventListener("streamnorm-key", () => keys.ask(storedKey() ? "This key is not accepted." : ""));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => view?.remake());
wide.addEventListener("change", () => !chosen() && chooseOne());
if (chosen()) show();
else live.follow(null);
