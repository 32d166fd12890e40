// The list of streams: all of them in the page, only what is in sight kept up to date.
import { get, streamPath } from "./api.js";
import { set } from "./page.js";
import { Rate, age, attention, gravity, number, rate, whole } from "./format.js";

const ROW = 68; // pixels, as dashboard.css says
const PAGE = 1000;
const SPARK = 40;
const SECONDS_BETWEEN_PROFILES = 10;

export class Streams {
  #rows = new Map(); // id -> what is known of it
  #list = document.getElementById("streams");
  #search = document.getElementById("search");
  #note = document.getElementById("streams-note");
  #count = document.getElementById("stream-count");
  #shown = [];
  #more = false;
  #chosen = null;
  #profiles = true;
  #template = document.getElementById("row-template");

  /** `onChange(size)` is called when streams came or went. */
  constructor(onChange) {
    this.onChange = onChange;
    this.#search.addEventListener("input", () => this.#searched());
    this.#list.addEventListener("scroll", () => this.draw(), { passive: true });
    this.#list.addEventListener("keydown", (event) => this.#walk(event));
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.target.closest("input, textarea, select, dialog")) return;
      event.preventDefault();
      this.#search.focus();
    });
    setInterval(() => this.draw(), 1000);
    setInterval(() => this.#lookAtHealth(), 2000);
  }

  get ids() {
    return [...this.#rows.keys()];
  }

  has(id) {
    return this.#rows.has(id);
  }

  /** Ask for the list anew. */
  async load() {
    const page = await get(`v1/streams?limit=${PAGE}`);
    const found = new Set(page.streams.map((info) => info.stream));
    for (const id of this.#rows.keys()) if (!found.has(id)) this.#forget(id);
    page.streams.forEach((info) => this.#know(info));
    this.#more = page.next !== null;
    this.#arrange();
  }

  /** Take in the latest readings of streams; those not known yet are asked for. */
  async glance(latest) {
    const now = Date.now() / 1000;
    const unknown = [];
    for (const reading of latest) {
      const row = this.#rows.get(reading.stream);
      if (!row) unknown.push(reading.stream);
      else this.#hear(row, reading, now);
    }
    this.draw();
    if (!unknown.length) return;
    if (unknown.length > 20) await this.load();
    else await Promise.all(unknown.map((id) => this.refresh(id)));
    for (const reading of latest) {
      const row = unknown.includes(reading.stream) && this.#rows.get(reading.stream);
      if (row) this.#hear(row, reading, now);
    }
    this.draw();
  }

  /** Ask for one stream anew; a stream that is gone leaves the list. */
  async refresh(id) {
    try {
      this.#know(await get(streamPath(id)));
    } catch (problem) {
      if (problem.status !== 404) throw problem;
      this.#forget(id);
    }
    this.#arrange();
  }

  choose(id) {
    this.#chosen = id;
    for (const row of this.#rows.values()) this.#mark(row);
    const at = this.#shown.indexOf(this.#rows.get(id));
    if (at < 0) return;
    const top = at * ROW;
    if (top < this.#list.scrollTop || top > this.#list.scrollTop + this.#list.clientHeight - ROW) this.#list.scrollTop = top - ROW * 2;
  }

  /** Take in a stream's profile. */
  health(id, features) {
    const row = this.#rows.get(id);
    if (row) row.kinds = Object.values(features).map((feature) => feature.kind);
  }

  #know(info) {
    let row = this.#rows.get(info.stream);
    if (!row) {
      const element = this.#template.content.firstElementChild.cloneNode(true);
      row = { id: info.stream, element, rate: new Rate(), spark: [], kinds: null, asked: 0, ready: null, values: null };
      row.parts = Object.fromEntries(["row", "row-name", "badge", "row-count", "row-last"].map((part) => [part, element.querySelector(`.${part}`)]));
      row.line = element.querySelector("polyline");
      row.parts.row.href = `#${encodeURIComponent(info.stream)}`;
      row.parts["row-name"].textContent = info.stream;
      this.#rows.set(info.stream, row);
    }
    row.info = info;
    row.count = info.count;
    row.last ??= info.count ? Date.parse(info.updated) / 1000 : null;
    return row;
  }

  #hear(row, reading, now) {
    row.count = reading.count;
    row.ready = reading.ready;
    row.values = reading.values;
    // What is told at first may be old.
    row.last = row.heard ? now : Math.min(now, Math.max(row.last ?? 0, Math.min(reading.time, now)));
    row.heard = true;
    row.rate.add(now, reading.count);
    const first = Object.values(reading.values)[0];
    if (first !== null && first !== undefined) row.spark.push(first);
    if (row.spark.length > SPARK) row.spark.shift();
  }

  #forget(id) {
    this.#rows.get(id).element.remove();
    this.#rows.delete(id);
  }

  async #searched() {
    this.#arrange();
    this.#list.scrollTop = 0;
    const prefix = this.#search.value.trim();
    if (!this.#more || !prefix) return;
    const page = await get(`v1/streams?limit=100&prefix=${encodeURIComponent(prefix)}`);
    page.streams.forEach((info) => this.#know(info));
    if (this.#search.value.trim() === prefix) this.#arrange();
  }

  #arrange() {
    const wanted = this.#search.value.trim().toLowerCase();
    const all = [...this.#rows.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    this.#shown = all.filter((row) => row.id.toLowerCase().includes(wanted));
    const elements = this.#shown.map((row) => row.element);
    if (elements.length !== this.#list.children.length || elements.some((element, at) => element !== this.#list.children[at])) this.#list.replaceChildren(...elements);
    this.#count.textContent = all.length ? `${whole(all.length)}${this.#more ? "+" : ""}` : "";
    this.#note.textContent = wanted && !this.#shown.length ? `No stream has “${wanted}” in its name.` : this.#more ? "More streams exist: search by the beginning of their names." : "";
    for (const row of this.#shown) this.#mark(row);
    this.draw();
    this.onChange(all.length);
  }

  #mark(row) {
    const chosen = row.id === this.#chosen;
    if (chosen) row.parts.row.setAttribute("aria-current", "page");
    else row.parts.row.removeAttribute("aria-current");
    row.parts.row.tabIndex = chosen || (!this.#shown.includes(this.#rows.get(this.#chosen)) && row === this.#shown[0]) ? 0 : -1;
  }

  #inSight() {
    const first = Math.max(0, Math.floor(this.#list.scrollTop / ROW) - 1);
    return this.#shown.slice(first, first + Math.ceil((this.#list.clientHeight || innerHeight) / ROW) + 2);
  }

  /** Write what is in sight. */
  draw() {
    if (document.hidden) return;
    const now = Date.now() / 1000;
    for (const row of this.#inSight()) {
      const { parts } = row;
      set(parts["row-count"], `${whole(row.count)} · ${rate(row.rate.perSecond(now))}`);
      const values = Object.entries(row.values ?? {}).map(([name, x]) => `${name} ${number(x)}`).join(" · ");
      set(parts["row-last"], [row.last ? age(now - row.last) : "no reading", values].filter(Boolean).join(" · "));
      const [text, kind] = healthOf(row);
      set(parts.badge, text);
      parts.badge.hidden = !text;
      parts.badge.dataset.kind = kind;
      drawSpark(row);
    }
  }

  #walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -Infinity, End: Infinity }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = this.#shown.findIndex((row) => row.parts.row === document.activeElement);
    const next = Math.max(0, Math.min(this.#shown.length - 1, at + step));
    this.#shown[next]?.parts.row.focus();
  }

  async #lookAtHealth() {
    if (document.hidden || !this.#profiles) return;
    const now = Date.now() / 1000;
    const due = this.#inSight().filter((row) => row.count && now - row.asked > SECONDS_BETWEEN_PROFILES).slice(0, 8);
    await Promise.all(due.map((row) => {
      row.asked = now;
      return get(streamPath(row.id, "/profile")).then((profile) => this.health(row.id, profile.features), (problem) => {
        if (problem.slug === "not-found") this.#profiles = false; // a service without profiles
      });
    }));
    if (due.length) this.draw();
  }
}

function healthOf(row) {
  for (const kind of gravity) {
    const n = row.kinds?.filter((found) => found === kind).length;
    if (n) return [`${n} ${kind}`, kind];
  }
  if (row.ready === false || row.kinds?.includes("warming")) return ["warming up", "warming"];
  return row.ready || (row.kinds && !row.kinds.some(attention)) ? ["ready", "ready"] : ["", ""];
}

function drawSpark(row) {
  if (row.spark.length < 2) return;
  const low = Math.min(...row.spark);
  const high = Math.max(...row.spark);
  const points = row.spark.map((x, at) => `${(at / (Math.max(row.spark.length, 12) - 1)) * 72},${high > low ? 22 - ((x - low) / (high - low)) * 20 : 12}`);
  row.line.setAttribute("points", points.join(" "));
}
