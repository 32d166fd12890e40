// The pictures of one feature: two traces, and two histograms of what is in sight.
import { number, short, sigmas } from "../common/format.js";
import { set } from "../common/page.js";
import { colours, levels, line, normalizedScale, redraw, traceChart, when } from "./charts.js";
import { drawHistogram, range } from "./histogram.js";

const ENDS = 3.5; // standard deviations, at least, that the picture afterwards shows

/** A feature's raw trace with its band. */
function rawChart(scene, place, colour, gutter, told) {
  const edge = { sparse: true, width: 0 };
  const series = [
    line(scene, "mean + std", "transparent", edge),
    line(scene, "mean − std", "transparent", edge),
    line(scene, "mean", colour.mean, { sparse: true, width: 1.25, dash: [4, 4] }),
    line(scene, "raw", colour.raw),
  ];
  const y = { range: (_, low, high) => (low === null ? [0, 1] : range([low, high])) };
  const bands = [{ series: [1, 2], fill: colour.rawSoft }];
  return traceChart(scene, place, colour, { scales: { y }, axes: [{}], series, bands, told, gutter });
}

/** The same feature normalized. */
function normalizedChart(scene, place, colour, gutter, told) {
  const series = [line(scene, "normalized", colour.normalized)];
  return traceChart(scene, place, colour, { scales: { y: normalizedScale }, axes: [{}], series, told, gutter, drawAxes: [levels(colour)] });
}

/** Statistics that came with some readings only, with the last ones up to the latest reading. */
function held(numbers) {
  const at = numbers.findLastIndex((x) => x !== null);
  return at < 0 ? numbers : [...numbers.slice(0, -1), numbers[at]];
}

/** The four pictures of a feature's card. */
export class Pictures {
  #card;
  #scene;
  #name;
  #charts = null;
  #colour;

  /** `scene` is the trace with the window on it. */
  constructor(card, scene, name) {
    this.#card = card;
    this.#scene = scene;
    this.#name = name;
    const label = (picture, text) => card.querySelector(picture).setAttribute("aria-label", text);
    label("[data-plot=raw]", `Trace of the raw values of ${name}, with mean and deviation`);
    label("[data-plot=normalized]", `Trace of the normalized values of ${name}`);
    label("[data-histogram=raw]", "Histogram before");
    label("[data-histogram=normalized]", "Histogram after");
    this.#place("raw").addEventListener("keydown", (event) => this.#walk(event));
    this.#tell(null);
  }

  draw = () => {
    const { trace } = this.#scene;
    const column = trace.columns.get(this.#name);
    if (!column || !this.#card.isConnected) return;
    this.#make();
    const { positions } = trace.timeline;
    const [raw, normalized] = this.#charts;
    if (raw) redraw(raw, this.#place("raw"), [positions, ...[column.high, column.low, column.mean].map(held), column.raw]);
    if (normalized) redraw(normalized, this.#place("normalized"), [positions, column.normalized]);
    this.#histograms(column);
  };

  /** Draw anew from scratch: the colours changed. */
  remake() {
    this.destroy();
    this.draw();
  }

  destroy() {
    for (const chart of this.#charts ?? []) chart?.destroy();
    this.#charts = null;
  }

  #place(part) {
    return this.#card.querySelector(`[data-plot=${part}]`);
  }

  #make() {
    if (this.#charts) return;
    this.#colour = colours();
    const drawn = typeof uPlot === "function" && this.#place("raw").clientWidth;
    const gutter = { width: 0 };
    const make = (chart, part) => chart(this.#scene, this.#place(part), this.#colour, gutter, (at) => this.#tell(at));
    this.#charts = drawn ? [make(rawChart, "raw"), make(normalizedChart, "normalized")] : null;
  }

  /** Tell the values of a reading, or what the lines are. */
  #tell(at) {
    const { trace } = this.#scene;
    const column = trace.columns.get(this.#name);
    const hint = (part) => this.#card.querySelector(`[data-hint=${part}]`);
    const place = this.#place("raw");
    if (at === null || at === undefined || !column || at >= column.raw.length) {
      set(hint("raw"), "with mean ± std");
      set(hint("normalized"), "");
      place.setAttribute("aria-valuemin", 0);
      place.setAttribute("aria-valuemax", Math.max(0, trace.counts.length - 1));
      place.setAttribute("aria-valuenow", Math.max(0, trace.counts.length - 1));
      place.setAttribute("aria-valuetext", "the latest reading");
      return;
    }
    const mean = column.mean.findLastIndex((x, index) => index <= at && x !== null);
    const [centre, std] = mean < 0 ? [null, null] : [column.mean[mean], column.std[mean]];
    const spread = mean < 0 ? "" : ` (${number(centre, std)} ± ${number(std)})`;
    set(hint("raw"), `${when(trace, at)} · ${number(column.raw[at], std)}${spread}`);
    set(hint("normalized"), sigmas(column.normalized[at]));
    place.setAttribute("aria-valuemax", trace.counts.length - 1);
    place.setAttribute("aria-valuenow", at);
    place.setAttribute("aria-valuetext", `${when(trace, at)}: ${number(column.raw[at], std)}, normalized ${sigmas(column.normalized[at])}`);
  }

  /** Walk along the readings with the keys, zoom and go back. */
  #walk(event) {
    const { trace, window } = this.#scene;
    const chart = this.#charts?.[0];
    if (!chart || event.ctrlKey || event.metaKey || event.altKey) return;
    const { timeline } = trace;
    const [first, last] = window.ends(timeline).map((x) => timeline.indexAt(x));
    const now = chart.cursor.left >= 0 ? chart.cursor.idx : last;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -20, PageUp: 20, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      const to = Math.max(first, Math.min(last, now + steps[event.key]));
      chart.setCursor({ left: chart.valToPos(timeline.positions[to], "x"), top: 1 }, true, true);
    } else if (event.key === "+" || event.key === "-") window.zoom(timeline, event.key === "+" ? 0.5 : 2, timeline.positions[now]);
    else if (event.key === "Escape" && window.paused) window.live();
    else return;
    event.preventDefault();
  }

  #histograms(column) {
    const canvas = (part) => this.#card.querySelector(`[data-histogram=${part}]`);
    const { trace, window } = this.#scene;
    const [first, last] = window.ends(trace.timeline).map((x) => trace.timeline.indexAt(x));
    const inSight = (values) => values.slice(first, last + 1);
    const colour = this.#colour ?? colours();
    const [raw, normalized] = [inSight(column.raw), inSight(column.normalized)];
    const before = drawHistogram(canvas("raw"), raw, range(raw), colour, colour.raw, false);
    let far = ENDS;
    for (const y of normalized) if (y !== null && Math.abs(y) > far && far < 8) far = Math.min(8, Math.abs(y) * 1.05);
    const after = drawHistogram(canvas("normalized"), normalized, [-far, far], colour, colour.normalized, true);
    const caption = (part, found) => set(this.#card.querySelector(`[data-centre=${part}]`), found.n ? `${number(found.mean, found.std)} ± ${short(found.std)}` : "");
    caption("raw", before);
    set(this.#card.querySelector("[data-centre=normalized]"), after.n ? `${short(after.mean)} ± ${short(after.std)}` : "");
    const tell = (found) => `centred at ${number(found.mean, found.std)}, spread ${number(found.std)}, of ${found.n} readings`;
    canvas("raw").setAttribute("aria-label", `Histogram before: ${tell(before)}`);
    canvas("normalized").setAttribute("aria-label", `Histogram after: ${tell(after)}`);
  }
}
