// The rows of the list that are in sight; those above and below are room only.
import { age, number, rate, whole } from "../common/format.js";
import { healthOf } from "../common/health.js";
import { set } from "../common/page.js";

const ROW = 68; // pixels, as list.css says
const BEYOND = 8; // rows drawn above and below what is in sight
const template = document.getElementById("row-template");

export class Rows {
  #list = document.getElementById("streams");
  #scroller = document.getElementById("scroller"); // where there is room for it; else the page scrolls
  #drawn = new Map(); // stream -> its parts
  #shown = [];
  #chosen = null;
  #away = false; // chosen, and not scrolled to yet

  constructor() {
    document.addEventListener("scroll", () => this.draw(), { passive: true, capture: true });
    addEventListener("resize", () => this.draw());
    this.#list.addEventListener("keydown", (event) => this.#walk(event));
  }

  /** Show these streams, in this order. */
  show(streams) {
    this.#shown = streams;
    this.#bringToSight();
  }

  toTop() {
    this.#scroller.scrollTop = 0;
  }

  choose(id) {
    this.#away = id !== this.#chosen;
    this.#chosen = id;
    this.#bringToSight();
  }

  /** Scroll to the chosen stream, once it is listed. */
  #bringToSight() {
    this.draw();
    const at = this.#away ? this.#shown.findIndex((stream) => stream.id === this.#chosen) : -1;
    if (at < 0 || !this.#scroller.clientHeight) return;
    this.#away = false;
    this.#scrollTo(at);
    this.draw();
  }

  #scrollTo(at) {
    const top = at * ROW;
    const { scrollTop, clientHeight, scrollHeight } = this.#scroller;
    if (scrollHeight > clientHeight + 1) {
      if (top < scrollTop || top > scrollTop + clientHeight - ROW) this.#scroller.scrollTop = Math.max(0, top - ROW * 2);
      return;
    }
    const inWindow = this.#list.getBoundingClientRect().top + top;
    if (inWindow < 60 || inWindow > innerHeight - ROW) scrollBy(0, inWindow - innerHeight / 3);
  }

  #ends() {
    const over = Math.max(0, this.#scroller.getBoundingClientRect().top) - this.#list.getBoundingClientRect().top;
    const first = Math.floor(Math.max(0, over) / ROW);
    const most = Math.ceil(Math.min(this.#scroller.clientHeight || innerHeight, innerHeight) / ROW);
    return [Math.max(0, first - BEYOND), Math.min(this.#shown.length, first + most + BEYOND)];
  }

  draw() {
    if (document.hidden) return;
    this.#list.style.setProperty("--room", `${this.#shown.length * ROW}px`);
    const [first, end] = this.#ends();
    const streams = this.#shown.slice(first, end);
    const wanted = new Set(streams.map(({ id }) => id));
    const held = document.activeElement?.closest?.("#streams li");
    for (const [id, parts] of this.#drawn) {
      if (wanted.has(id)) continue;
      parts.item.remove();
      this.#drawn.delete(id);
    }
    const now = Date.now() / 1000;
    const focusable = wanted.has(this.#chosen) ? this.#chosen : streams[0]?.id;
    streams.forEach((stream, at) => {
      const parts = this.#drawn.get(stream.id) ?? this.#make(stream);
      if (this.#list.children[at] !== parts.item) this.#list.insertBefore(parts.item, this.#list.children[at] ?? null);
      parts.item.style.top = `${(first + at) * ROW}px`;
      parts.item.setAttribute("aria-posinset", first + at + 1);
      parts.item.setAttribute("aria-setsize", this.#shown.length);
      parts.row.tabIndex = stream.id === focusable ? 0 : -1;
      if (stream.id === this.#chosen) parts.row.setAttribute("aria-current", "page");
      else parts.row.removeAttribute("aria-current");
      write(stream, parts, now);
    });
    if (held?.isConnected && !held.contains(document.activeElement)) held.querySelector("a").focus({ preventScroll: true });
  }

  #make(stream) {
    const item = template.content.firstElementChild.cloneNode(true);
    const find = (name) => item.querySelector(name);
    const parts = { item, row: find(".row"), badge: find(".badge"), count: find(".row-count"), last: find(".row-last"), line: find("polyline") };
    parts.row.href = `#${encodeURIComponent(stream.id)}`;
    parts.row.title = stream.id;
    find(".row-name").textContent = stream.id;
    this.#drawn.set(stream.id, parts);
    return parts;
  }

  #walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -Infinity, End: Infinity }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = this.#shown.findIndex(({ id }) => this.#drawn.get(id)?.row === document.activeElement);
    const next = Math.max(0, Math.min(this.#shown.length - 1, at + step));
    this.#scrollTo(next);
    this.draw();
    this.#drawn.get(this.#shown[next]?.id)?.row.focus();
  }
}

function write(stream, parts, now) {
  set(parts.count, `${whole(stream.count)} · ${rate(stream.rate.perSecond(now))}`);
  const values = Object.entries(stream.values ?? {}).map(([name, x]) => `${name} ${number(x)}`).join(" · ");
  const text = [stream.last ? age(now - stream.last) : "no reading", values].filter(Boolean).join(" · ");
  set(parts.last, text);
  const [word, kind] = healthOf(stream, now);
  set(parts.badge, word);
  parts.badge.hidden = !word;
  parts.badge.dataset.kind = kind;
  drawSpark(stream.spark, parts.line);
}

function drawSpark(spark, line) {
  if (spark.length < 2) return line.setAttribute("points", "");
  const low = Math.min(...spark);
  const high = Math.max(...spark);
  const points = spark.map((x, at) => `${(at / (Math.max(spark.length, 12) - 1)) * 72},${high > low ? 22 - ((x - low) / (high - low)) * 20 : 12}`);
  return line.setAttribute("points", points.join(" "));
}
