// Two features over each other: raw, each on an axis of its own, and normalized on one.
import { number, sigmas } from "../common/format.js";
import { set } from "../common/page.js";
import { colours, levels, line, normalizedScale, redraw, traceChart, when } from "./charts.js";
import { range } from "./histogram.js";

const template = document.getElementById("compare-template");

export class Comparison {
  #charts = null;

  /** Compare two features of a `scene` in `place`. */
  constructor(place, scene, names) {
    this.scene = scene;
    this.names = names;
    this.element = template.content.firstElementChild.cloneNode(true);
    const find = (selector) => this.element.querySelector(selector);
    this.plots = { raw: find("[data-plot=raw]"), normalized: find("[data-plot=normalized]") };
    this.hints = { raw: find("[data-hint=raw]"), normalized: find("[data-hint=normalized]") };
    find("[data-name=first]").textContent = names[0];
    find("[data-name=second]").textContent = names[1];
    this.plots.raw.setAttribute("aria-label", `Traces of the raw values of ${names.join(" and ")}`);
    this.plots.normalized.setAttribute("aria-label", `Traces of the normalized values of ${names.join(" and ")}`);
    place.replaceChildren(this.element);
    place.hidden = false;
  }

  draw = () => {
    const { trace } = this.scene;
    const [first, second] = this.names.map((name) => trace.columns.get(name));
    if (!first || !second || !this.element.isConnected || !this.plots.raw.clientWidth) return;
    this.#charts ??= this.#make(colours());
    const { positions } = trace.timeline;
    redraw(this.#charts[0], this.plots.raw, [positions, first.raw, second.raw]);
    redraw(this.#charts[1], this.plots.normalized, [positions, first.normalized, second.normalized]);
  };

  remake() {
    for (const chart of this.#charts ?? []) chart.destroy();
    this.#charts = null;
    this.draw();
  }

  destroy() {
    for (const chart of this.#charts ?? []) chart.destroy();
    this.element.parentElement.hidden = true;
    this.element.remove();
  }

  #make(colour) {
    const told = (part) => (at) => this.#tell(part, at);
    const gutter = { width: 0 };
    const own = { range: (_, low, high) => (low === null ? [0, 1] : range([low, high])) };
    const [first, second] = this.names;
    const raw = traceChart(this.scene, this.plots.raw, colour, {
      scales: { y: own, y2: own },
      axes: [{ stroke: colour.raw }, { scale: "y2", side: 1, stroke: colour.other, grid: { show: false } }],
      series: [line(this.scene, first, colour.raw), line(this.scene, second, colour.other, { scale: "y2" })],
      told: told("raw"),
      gutter,
    });
    const normalized = traceChart(this.scene, this.plots.normalized, colour, {
      scales: { y: normalizedScale },
      axes: [{}, { scale: "y", side: 1, grid: { show: false } }],
      series: [line(this.scene, first, colour.raw), line(this.scene, second, colour.other)],
      told: told("normalized"),
      gutter,
      drawAxes: [levels(colour)],
    });
    return [raw, normalized];
  }

  #tell(part, at) {
    const { trace } = this.scene;
    if (at === null || at === undefined) return set(this.hints[part], "");
    const values = this.names.map((name) => trace.columns.get(name)?.[part][at] ?? null);
    return set(this.hints[part], `${when(trace, at)} · ${values.map(part === "raw" ? (x) => number(x) : sigmas).join(" and ")}`);
  }
}
