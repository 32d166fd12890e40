// The pictures of one feature: two traces by uPlot, and two histograms; nothing is drawn more than ten times a second.
import { number, short } from "./format.js";
import { set } from "./page.js";
import { histogram, range } from "./trace.js";

const SECONDS_BETWEEN_FRAMES = 0.1;
const BINS = 36;
const ENDS = 3.5; // standard deviations, at least, that the picture afterwards shows
const HEIGHT = 132;

const due = new Set();
let last = 0;
let asked = false;

/** Have something drawn soon, once, however often it is asked for. */
export function soon(draw) {
  due.add(draw);
  if (asked) return;
  asked = true;
  const wait = last + SECONDS_BETWEEN_FRAMES * 1000 - performance.now();
  setTimeout(() => requestAnimationFrame(frame), Math.max(0, wait));
}

function frame(now) {
  last = now;
  asked = false;
  const drawing = [...due];
  due.clear();
  for (const draw of drawing) draw();
}

/** The page's colours of today, light or dark. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return {
    raw: of("--raw"), rawSoft: of("--raw-soft"), mean: of("--mean"), normalized: of("--normalized"),
    normalizedSoft: of("--normalized-soft"), grid: of("--grid"), text: of("--muted"), zero: of("--zero"),
  };
}

const ticks = (trace) => (chart, splits) => {
  const { counts, times } = trace;
  const span = times.at(-1) - times[0];
  if (!(span > 2)) return splits.map((count) => (Number.isInteger(count) ? `#${count}` : ""));
  const clock = { hour: "2-digit", minute: "2-digit", second: span < 600 ? "2-digit" : undefined, hourCycle: "h23" };
  const day = { month: "short", day: "numeric" };
  const shown = splits.map((count) => {
    let at = Math.round(((count - counts[0]) / (counts.at(-1) - counts[0] || 1)) * (counts.length - 1));
    at = Math.max(0, Math.min(counts.length - 1, at));
    while (at > 0 && counts[at] > count) at -= 1;
    while (at < counts.length - 1 && counts[at] < count) at += 1;
    return new Date(times[at] * 1000).toLocaleString([], span > 172_800 ? day : clock);
  });
  return shown.map((text, place) => (text === shown[place - 1] ? "" : text)); // of readings that came at once
};

function options(trace, colour, width, y, series, more) {
  const font = "11px system-ui, sans-serif";
  const axis = { stroke: colour.text, font, grid: { stroke: colour.grid, width: 1 }, ticks: { show: false } };
  return {
    width, height: HEIGHT,
    pxAlign: 1,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 6 }, sync: { key: "feature" } },
    padding: [6, 26, 0, 0],
    scales: { x: { time: false }, y },
    axes: [
      { ...axis, space: 84, size: 22, gap: 2, values: ticks(trace) },
      { ...axis, space: 28, size: 58, gap: 4, values: (_, splits) => splits.map(compact) },
    ],
    series: [{}, ...series],
    ...more,
  };
}

const compact = (x) => (x === null ? "" : Math.abs(x) >= 1e6 || (x !== 0 && Math.abs(x) < 1e-3) ? x.toExponential(1) : String(Number(x.toPrecision(6))));

/** A feature's raw trace with its band, made in `place`. */
function rawChart(place, trace, colour) {
  const edge = { stroke: "transparent", width: 0, points: { show: false }, spanGaps: true };
  const series = [
    { ...edge, label: "mean + std" },
    { ...edge, label: "mean − std" },
    { label: "mean", stroke: colour.mean, width: 1.25, dash: [4, 4], points: { show: false }, spanGaps: true },
    { label: "raw", stroke: colour.raw, width: 1.5, points: { show: false } },
  ];
  const y = { range: (_, low, high) => (low === null ? [0, 1] : range([low, high])) };
  const bands = [{ series: [1, 2], fill: colour.rawSoft }];
  return new uPlot(options(trace, colour, place.clientWidth, y, series, { bands }), [[], [], [], [], []], place);
}

/** The same feature normalized: around zero, with lines one deviation above and below. */
function normalizedChart(place, trace, colour) {
  const lines = (chart) => {
    const { ctx, bbox } = chart;
    ctx.save();
    ctx.lineWidth = devicePixelRatio;
    for (const level of [-1, 0, 1]) {
      const y = Math.round(chart.valToPos(level, "y", true));
      if (y < bbox.top || y > bbox.top + bbox.height) continue;
      ctx.strokeStyle = level ? colour.grid : colour.zero;
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    ctx.restore();
  };
  const series = [{ label: "normalized", stroke: colour.normalized, width: 1.5, points: { show: false } }];
  const y = { range: (_, low, high) => [Math.min(-3, (low ?? 0) * 1.05), Math.max(3, (high ?? 0) * 1.05)] };
  return new uPlot(options(trace, colour, place.clientWidth, y, series, { hooks: { drawAxes: [lines] } }), [[], []], place);
}

/** Draw a histogram: bars, a mark at zero, and where it is asked for the bell of unit spread. */
function drawHistogram(canvas, values, [low, high], colour, fill, bell) {
  const ratio = devicePixelRatio;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  const found = histogram(values, low, high, BINS);
  const foot = height - 18;
  const at = (x) => ((x - low) / (high - low)) * width;
  const normal = (x) => (found.n * ((high - low) / BINS) * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
  const top = Math.max(1, ...found.counts, bell ? normal(0) : 0);
  ctx.fillStyle = colour.zero;
  if (low < 0 && high > 0) ctx.fillRect(Math.round(at(0)), 4, 1, foot - 4);
  ctx.fillStyle = fill;
  const step = width / BINS;
  found.counts.forEach((n, bin) => {
    const tall = (n / top) * (foot - 8);
    if (n) ctx.fillRect(bin * step + 0.5, foot - Math.max(1.5, tall), Math.max(1, step - 1), Math.max(1.5, tall));
  });
  ctx.fillStyle = colour.grid;
  ctx.fillRect(0, foot, width, 1);
  if (bell && found.n) {
    ctx.strokeStyle = colour.text;
    ctx.setLineDash([3, 3]);
    ctx.beginPath();
    for (let x = low; x <= high; x += 0.1) ctx.lineTo(at(x), foot - (normal(x) / top) * (foot - 8));
    ctx.stroke();
    ctx.setLineDash([]);
  }
  ctx.fillStyle = colour.text;
  ctx.font = "11px system-ui, sans-serif";
  ctx.textBaseline = "bottom";
  ctx.textAlign = "left";
  ctx.fillText(bell ? `−${high.toFixed(0)} σ` : compact(Number(low.toPrecision(4))), 0, height);
  ctx.textAlign = "right";
  ctx.fillText(bell ? `+${high.toFixed(0)} σ` : compact(Number(high.toPrecision(4))), width, height);
  if (bell) {
    ctx.textAlign = "center";
    ctx.fillText("0", width / 2, height);
  }
  return found;
}

/** The four pictures of a feature's card. */
export class Pictures {
  #card;
  #trace;
  #name;
  #charts = null;
  #colour;

  constructor(card, trace, name) {
    this.#card = card;
    this.#trace = trace;
    this.#name = name;
    const label = (picture, text) => card.querySelector(picture).setAttribute("aria-label", text);
    label("[data-plot=raw]", `Trace of the raw values of ${name}, with mean and deviation`);
    label("[data-plot=normalized]", `Trace of the normalized values of ${name}`);
    label("[data-histogram=raw]", "Histogram before");
    label("[data-histogram=normalized]", "Histogram after");
  }

  draw = () => {
    const column = this.#trace.columns.get(this.#name);
    if (!column || !this.#card.isConnected) return;
    this.#make();
    const { counts } = this.#trace;
    const [raw, normalized] = this.#charts;
    raw?.setData([counts, column.high, column.low, column.mean, column.raw]);
    normalized?.setData([counts, column.normalized]);
    this.#histograms(column);
  };

  /** Draw anew from scratch: the colours or the width changed. */
  remake() {
    this.destroy();
    this.draw();
  }

  destroy() {
    for (const chart of this.#charts ?? []) chart?.destroy();
    this.#charts = null;
  }

  #make() {
    if (this.#charts) return;
    this.#colour = colours();
    const place = (part) => this.#card.querySelector(`[data-plot=${part}]`);
    const drawn = typeof uPlot === "function";
    this.#charts = drawn ? [rawChart(place("raw"), this.#trace, this.#colour), normalizedChart(place("normalized"), this.#trace, this.#colour)] : [];
  }

  #histograms(column) {
    const canvas = (part) => this.#card.querySelector(`[data-histogram=${part}]`);
    const colour = this.#colour;
    const before = drawHistogram(canvas("raw"), column.raw, range(column.raw), colour, colour.raw, false);
    let far = ENDS;
    for (const y of column.normalized) if (y !== null && Math.abs(y) > far && far < 8) far = Math.min(8, Math.abs(y) * 1.05);
    const after = drawHistogram(canvas("normalized"), column.normalized, [-far, far], colour, colour.normalized, true);
    const caption = (part, found) => set(this.#card.querySelector(`[data-centre=${part}]`), found.n ? `${short(found.mean)} ± ${short(found.std)}` : "");
    caption("raw", before);
    caption("normalized", after);
    const tell = (found) => `centred at ${number(found.mean)}, spread ${number(found.std)}, of ${found.n} readings`;
    canvas("raw").setAttribute("aria-label", `Histogram before: ${tell(before)}`);
    canvas("normalized").setAttribute("aria-label", `Histogram after: ${tell(after)}`);
  }
}
