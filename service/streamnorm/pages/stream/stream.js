// The chosen stream: its counters, its features' cards, and the panels that change it.
import { get, streamPath } from "../common/api.js";
import { Rate, age, rate, span, whole } from "../common/format.js";
import { attention, gravity, silent } from "../common/health.js";
import { set } from "../common/page.js";
import { Card } from "./card.js";
import { soon } from "./charts.js";
import { Comparison } from "./compare.js";
import { Panels } from "./panels.js";
import { Toolbar } from "./toolbar.js";
import { MOST, Trace } from "./trace.js";
import { Window } from "./window.js";

const CARDS = 48; // at first; more on demand
const SECONDS_BETWEEN_PROFILES = 2;
const template = document.getElementById("detail-template");

export class StreamView {
  trace = new Trace();
  window = new Window();
  #waiting = []; // readings that came while the window stands still
  #unshown = 0;
  #comparison = null;
  #cards = new Map();
  #most = CARDS;
  #rate = new Rate();
  #last = null;
  #ready = null;
  #profiles = true;
  #timers = [];

  /** Show a stream in `place`; `hooks` tells of its profile and of changes to it. */
  constructor(place, id, hooks) {
    this.id = id;
    this.hooks = hooks;
    this.place = place;
    place.replaceChildren(template.content.cloneNode(true));
    const find = (selector) => place.querySelector(selector);
    find("h1").textContent = id;
    this.tiles = Object.fromEntries([...place.querySelectorAll("[data-tile]")].map((tile) => [tile.dataset.tile, tile]));
    this.state = find(".state");
    this.attention = find(".attention");
    this.list = find(".cards");
    this.more = find(".more");
    find("#more").addEventListener("click", () => {
      this.#most += CARDS;
      this.#arrange();
    });
    this.panels = new Panels(place, id, this.trace, { changed: () => this.changed(), gone: hooks.gone });
    this.toolbar = new Toolbar(place, id, { trace: this.trace, window: this.window }, (names) => this.#compare(names));
    this.window.onChange(() => this.#moved());
    this.sight = new IntersectionObserver((entries) => this.#sighted(entries), { rootMargin: "120px" });
    let width = 0;
    this.width = new ResizeObserver(([{ contentRect }]) => {
      if (width && width !== contentRect.width) this.#resized();
      width = contentRect.width;
    });
    this.width.observe(this.list);
    addEventListener("afterprint", this.#resized);
    this.#timers = [
      setInterval(() => this.#look(), SECONDS_BETWEEN_PROFILES * 1000),
      setInterval(() => this.#tell(), 1000),
    ];
    this.refresh().then(() => this.#look(), () => {});
  }

  close() {
    this.#timers.forEach(clearInterval);
    this.sight.disconnect();
    this.width.disconnect();
    removeEventListener("afterprint", this.#resized);
    this.#comparison?.destroy();
    for (const card of this.#cards.values()) card.pictures.destroy();
  }

  /** Ask for the configuration and counters anew. */
  async refresh() {
    try {
      const info = await get(streamPath(this.id));
      this.info = info;
      if (!this.trace.latest) {
        set(this.tiles.count, whole(info.count));
        set(this.tiles.features, whole(info.features.length));
        this.#last = info.count ? Date.parse(info.updated) / 1000 : null;
      }
      this.panels.show(info);
      this.#tell();
    } catch (problem) {
      if (problem.status === 404) this.hooks.gone(this.id);
      else throw problem;
    }
  }

  /** The stream was reset or configured. */
  async changed() {
    await this.refresh();
    if (this.info.count < (this.trace.counts.at(-1) ?? 0)) {
      this.trace.clear();
      this.#waiting = [];
      this.window.live();
      set(this.tiles.count, whole(this.info.count));
      this.#arrange();
    }
    await this.#look();
  }

  /** A sensor became another kind: look at once, and say on its badge what it was. */
  kind(change) {
    this.#cards.get(change.feature)?.was(change);
    this.#look();
  }

  /** Take in the recent past. */
  history(readings) {
    for (const reading of readings) {
      this.#rate.add(reading.time, reading.count);
      if (this.window.paused && this.trace.latest) this.#wait(reading);
      else this.trace.add(reading, true);
    }
    if (readings.length) {
      this.#last = Math.min(Date.now() / 1000, readings.at(-1).time);
      this.#ready = readings.at(-1).ready;
    }
    this.#show();
  }

  /** Take in a reading. */
  reading(reading) {
    this.#last = Date.now() / 1000;
    this.#ready = reading.ready;
    this.#rate.add(this.#last, reading.count);
    if (this.window.paused && this.trace.latest) this.#wait(reading);
    else this.trace.add(reading);
    soon(this.#show);
  }

  /** Keep a reading until the window goes on, as many as the trace would keep. */
  #wait(reading) {
    if (reading.count === this.trace.latest.count || reading.count === this.#waiting.at(-1)?.count) return;
    this.#waiting.push(reading);
    this.#unshown += 1;
    if (this.#waiting.length > 2 * MOST) this.#waiting.splice(0, MOST);
    this.toolbar.waiting(this.#unshown);
  }

  /** The window moved, stands still, or goes on. */
  #moved() {
    if (!this.window.paused) {
      for (const reading of this.#waiting) this.trace.add(reading, true);
      this.#waiting = [];
      this.#unshown = 0;
    }
    soon(this.#show);
  }

  #compare(names) {
    if (names?.join("\n") === this.#comparison?.names.join("\n")) return;
    this.#comparison?.destroy();
    this.#comparison = names && new Comparison(this.place.querySelector(".comparison"), { trace: this.trace, window: this.window }, names);
    this.#comparison?.draw();
  }

  #resized = () => {
    this.#comparison?.draw();
    for (const card of this.#cards.values()) card.update();
  };

  remake() {
    this.#comparison?.remake();
    for (const card of this.#cards.values()) card.remake();
  }

  #show = () => {
    if (!this.list.isConnected) return;
    if (this.trace.columns.size !== this.#cards.size) this.#arrange();
    for (const card of this.#cards.values()) card.update();
    if (this.#comparison && !document.hidden) this.#comparison.draw();
    const latest = this.#waiting.at(-1) ?? this.trace.latest;
    if (!latest) return;
    set(this.tiles.count, whole(latest.count));
    set(this.tiles.features, whole(this.trace.columns.size));
    this.#tell();
    this.panels.suggest(latest.values);
  };

  #arrange() {
    const names = [...this.trace.columns.keys()];
    for (const [name, card] of this.#cards) {
      if (names.includes(name)) continue;
      card.element.remove();
      card.pictures.destroy();
      this.#cards.delete(name);
    }
    for (const name of names.slice(0, this.#most)) {
      if (this.#cards.has(name)) continue;
      const card = new Card(name, { trace: this.trace, window: this.window });
      this.#cards.set(name, card);
      this.list.append(card.element);
      this.sight.observe(card.element);
    }
    this.more.hidden = names.length <= this.#most;
    this.toolbar.offer(names);
  }

  #sighted(entries) {
    for (const { target, isIntersecting } of entries) {
      for (const card of this.#cards.values()) {
        if (card.element !== target) continue;
        card.seen = isIntersecting;
        card.update();
      }
    }
  }

  #tell() {
    const now = Date.now() / 1000;
    set(this.tiles.rate, rate(this.#rate.perSecond(now)));
    set(this.tiles.last, this.#last === null ? "–" : age(now - this.#last));
    const still = this.info && silent(this.info, this.#last, now);
    const ready = this.#ready === null ? "" : this.#ready ? "ready" : "warming up: the first answers are not to be trusted yet";
    set(this.state, still ? `silent for ${span(now - this.#last)}` : ready);
    this.state.dataset.ready = still ? "silent" : this.#ready;
  }

  async #look() {
    if (!this.#profiles || document.hidden) return;
    try {
      const { features } = await get(streamPath(this.id, "/profile"));
      if (!this.list.isConnected) return;
      for (const [name, card] of this.#cards) if (features[name]) card.profile(features[name]);
      this.hooks.profile(this.id, features);
      this.#warn(features);
    } catch (problem) {
      if (problem.slug === "not-found") this.#profiles = false; // a service without profiles
    }
  }

  #warn(features) {
    const odd = Object.entries(features).filter(([, { kind }]) => attention(kind));
    odd.sort(([, a], [, b]) => gravity.indexOf(a.kind) - gravity.indexOf(b.kind));
    const text = odd.map(([name, { kind }]) => `${name} ${kind}`).join(", ");
    this.attention.hidden = !odd.length;
    if (this.attention.dataset.text === text) return;
    this.attention.dataset.text = text;
    const links = odd.slice(0, 12).map(([name, { kind }]) => {
      const link = document.createElement("button");
      link.type = "button";
      link.className = "badge";
      link.dataset.kind = kind;
      link.textContent = `${name}: ${kind}`;
      link.addEventListener("click", () => this.#cards.get(name)?.element.scrollIntoView({ block: "center" }));
      return link;
    });
    this.attention.replaceChildren("Look at ", ...links);
  }
}
