// What of a stream's readings is shown: range, pause, zoom, comparison; and what is taken away: CSV, a link.
import * as address from "../common/address.js";
import { set } from "../common/page.js";
import { csv, save } from "../common/export.js";

export class Toolbar {
  /** `scene` is the trace with the window on it; `compare(names)` shows two features over each other, or none. */
  constructor(place, id, scene, compare) {
    this.id = id;
    this.scene = scene;
    this.compare = compare;
    const find = (selector) => place.querySelector(selector);
    this.range = find("#range");
    this.pause = find("#pause");
    this.first = find("#compare-first");
    this.second = find("#compare-second");
    this.compares = find("#compare");
    this.note = find("#view-note");
    const { window } = scene;
    this.range.addEventListener("change", () => window.follow(Number(this.range.value) || null));
    this.pause.addEventListener("click", () => (window.paused ? window.live() : window.pause(scene.trace.timeline)));
    const bind = (selector, act) => find(selector).addEventListener("click", () => act(scene.trace.timeline));
    bind("#zoom-in", (timeline) => window.zoom(timeline, 0.5));
    bind("#zoom-out", (timeline) => window.zoom(timeline, 2));
    bind("#pan-back", (timeline) => window.pan(timeline, -0.5));
    bind("#pan-on", (timeline) => window.pan(timeline, 0.5));
    find("#csv").addEventListener("click", () => this.#save());
    find("#link-copy").addEventListener("click", () => this.#copy());
    for (const select of [this.first, this.second]) select.addEventListener("change", () => this.#compared());
    window.onChange(() => this.#changed());
    this.restore(address.read().given);
  }

  /** Show what a link says. */
  restore({ range, from, to, compare }) {
    const { window } = this.scene;
    window.range = Number(range) > 0 ? Number(range) : null;
    window.still = [from, to].every((end) => end !== undefined && Number.isFinite(Number(end))) && Number(from) < Number(to) ? [Number(from), Number(to)] : null;
    this.wanted = compare?.split(",").map(decodeURIComponent) ?? [];
    this.#tell();
  }

  /** Offer the features that there are. */
  offer(names) {
    this.compares.hidden = names.length < 2;
    for (const [at, select] of [this.first, this.second].entries()) {
      const chosen = this.wanted[at] ?? select.value;
      select.replaceChildren(new Option("–", ""), ...names.map((name) => new Option(name, name)));
      select.value = names.includes(chosen) ? chosen : "";
    }
    if (this.wanted.every((name) => names.includes(name))) this.wanted = [];
    this.#compared();
  }

  /** Say how many readings wait while the window stands still. */
  waiting(n) {
    set(this.note, this.scene.window.paused ? `Paused${n ? `; ${n} new` : ""}` : "");
  }

  #compared() {
    const names = [this.first.value, this.second.value];
    const both = names.every(Boolean) && names[0] !== names[1];
    this.compare(both ? names : null);
    if (both || !this.wanted.length) address.change({ compare: both ? names.map(encodeURIComponent).join(",") : "" });
  }

  #changed() {
    const { range, still } = this.scene.window;
    const [from, to] = still?.map((end) => end.toFixed(3)) ?? ["", ""];
    address.change({ range, from, to });
    this.#tell();
  }

  #tell() {
    const { range, paused } = this.scene.window;
    if (range && ![...this.range.options].some((option) => Number(option.value) === range)) this.range.add(new Option(`last ${range} s`, range));
    this.range.value = String(range ?? "");
    set(this.pause, paused ? "Back to live" : "Pause");
    this.pause.classList.toggle("primary", paused);
    this.waiting(0);
  }

  #save() {
    const { trace, window } = this.scene;
    const { timeline } = trace;
    const [low, high] = window.ends(timeline);
    const first = timeline.positions.findIndex((x) => x >= low);
    save(csv(trace, Math.max(0, first), timeline.indexAt(high)), `${this.id}.csv`);
  }

  async #copy() {
    await navigator.clipboard.writeText(location.href);
    set(this.note, "The link is copied.");
  }
}
