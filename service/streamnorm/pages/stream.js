// The chosen stream: its counters, its features' cards, and the panels that change it.
import { get, streamPath } from "./api.js";
import { Card } from "./card.js";
import { soon } from "./charts.js";
import { Rate, age, attention, gravity, rate, whole } from "./format.js";
import { Panels } from "./panels.js";
import { set } from "./page.js";
import { Trace } from "./trace.js";

const CARDS = 48; // at first; more on demand
const SECONDS_BETWEEN_PROFILES = 2;
const template = document.getElementById("detail-template");

export class StreamView {
  trace = new Trace();
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
    this.sight = new IntersectionObserver((entries) => this.#sighted(entries), { rootMargin: "120px" });
    let width = 0;
    this.width = new ResizeObserver(([{ contentRect }]) => {
      if (width && width !== contentRect.width) this.remake();
      width = contentRect.width;
    });
    this.width.observe(this.list);
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
      set(this.tiles.count, whole(this.info.count));
      this.#arrange();
    }
    await this.#look();
  }

  /** Take in the recent past. */
  /** A sensor became another kind: look at once, and say on its badge what it was. */
  kind(change) {
    this.#cards.get(change.feature)?.was(change);
    this.#look();
  }

  history(readings) {
    for (const reading of readings) {
      this.trace.add(reading, true);
      this.#rate.add(reading.time, reading.count);
    }
    if (readings.length) {
      this.#last = Math.min(Date.now() / 1000, readings.at(-1).time);
      this.#ready = readings.at(-1).ready;
    }
    this.#show();
  }

  /** Take in a reading. */
  reading(reading) {
    this.trace.add(reading);
    this.#last = Date.now() / 1000;
    this.#ready = reading.ready;
    this.#rate.add(this.#last, reading.count);
    soon(this.#show);
  }

  remake() {
    for (const card of this.#cards.values()) card.remake();
  }

  #show = () => {
    if (!this.list.isConnected) return;
    if (this.trace.columns.size !== this.#cards.size) this.#arrange();
    for (const card of this.#cards.values()) card.update();
    const { latest } = this.trace;
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
      const card = new Card(name, this.trace);
      this.#cards.set(name, card);
      this.list.append(card.element);
      this.sight.observe(card.element);
    }
    this.more.hidden = names.length <= this.#most;
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
    set(this.state, this.#ready === null ? "" : this.#ready ? "ready" : "warming up: the first answers are not to be trusted yet");
    this.state.dataset.ready = this.#ready;
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
