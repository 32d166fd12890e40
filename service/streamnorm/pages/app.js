// The dashboard: the list of streams, the chosen one or all of them at a glance, and the line to the service.
import * as address from "./common/address.js";
import { storedKey } from "./common/api.js";
import { Keys } from "./common/keys.js";
import { Live } from "./common/live.js";
import { Overview } from "./overview/overview.js";
import { StreamView } from "./stream/stream.js";
import { Streams } from "./list/streams.js";

const FEW = 12; // streams, of which the first is shown where none is chosen; of more, all at a glance
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
  else if (!view) show();
});
const keys = new Keys(() => live.again());
const live = new Live(heard, state);

function heard(name, data) {
  if (name === "reading" && data.stream === view?.id) view.reading(data);
  else if (name === "kind") {
    streams.kind(data);
    if (data.stream === view?.id) view.kind(data);
  }
  else if (name === "history" && data.stream === view?.id) view.history(data.readings);
  else if (name === "latest") streams.glance(data.streams).catch(() => {});
}

function state(now, problem) {
  const again = now === "live" && link.dataset.state === "live"; // only another stream is followed
  link.dataset.state = now;
  document.getElementById("link-text").textContent = STATES[now];
  if (now === "live" && !again) {
    streams.load().catch(() => {});
    view?.refresh().catch(() => {});
  }
  if (now === "key") {
    const wrong = storedKey() && problem.status === 401 ? "This key is not accepted." : "";
    keys.ask(problem.status === 403 ? "This key may not read: the page needs one with the scope “read”." : wrong);
  }
}

/** Go to an address: list and show what it names. */
function go() {
  const { given } = address.read();
  if (Object.values(address.ofList(given)).some(Boolean)) streams.ask(given);
  show();
}

/** Show what the address names. */
function show() {
  const { id, asked } = address.read();
  // With room for both, some stream or all of them are always shown beside the list.
  if (!id && streams.ids.length && streams.ids.length <= FEW && !asked && wide.matches) {
    location.replace(address.of(streams.ids.sort()[0]));
    return;
  }
  const overview = !id && streams.ids.length > 0 && (asked || streams.ids.length > FEW);
  document.body.classList.toggle("has-stream", Boolean(id));
  document.body.classList.toggle("has-overview", overview);
  streams.choose(id);
  if (id ? view?.id === id : view && overview && view.id === null) {
    address.change(streams.asked);
    return;
  }
  view?.close();
  view = null;
  place.replaceChildren();
  address.change(streams.asked);
  if (id) view = new StreamView(place, id, { profile: (name, features) => streams.health(name, features), gone });
  else if (overview) view = new Overview(place, streams);
  document.title = id ? `${id} · streamnorm` : "streamnorm";
  live.follow(id || null);
}

function gone(id) {
  if (address.read().id !== id) return;
  if (streams.has(id)) streams.refresh(id).catch(() => {});
  location.replace("#");
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

addEventListener("hashchange", go);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // "#" names a stream here
  place.focus();
});
addEventListener("streamnorm-key", () => keys.ask(storedKey() ? "This key is not accepted." : ""));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => view?.remake());
wide.addEventListener("change", () => view || show());
go();
