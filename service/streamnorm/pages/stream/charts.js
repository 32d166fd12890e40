// Traces by uPlot, as all of the page draws them; nothing is drawn more than ten times a second.
import { moment, span, ticked } from "../common/format.js";
import { attach, steer } from "./steer.js";

const SECONDS_BETWEEN_FRAMES = 0.1;
const HEIGHT = 132;
const FONT = "11px system-ui, sans-serif";
const FEW = 60; // readings in sight that are drawn as points, too

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
    raw: of("--raw"), rawSoft: of("--raw-soft"), mean: of("--mean"), normalized: of("--normalized"), other: of("--other"),
    grid: of("--grid"), text: of("--muted"), zero: of("--zero"), silence: of("--sunken"),
  };
}

/** A line that breaks where readings are missing and at outages; `sparse` ones break at outages only. */
export function line(scene, label, stroke, { sparse = false, ...more } = {}) {
  const gaps = (chart, _series, _from, _to, missing) => {
    const silences = scene.trace.timeline.outages.map(({ before, after }) => [before, after].map((x) => Math.round(chart.valToPos(x, "x", true))));
    return sparse ? silences : [...missing, ...silences].sort(([a], [b]) => a - b);
  };
  const points = { show: (_chart, _series, from, to) => !sparse && to - from < FEW, size: 4, fill: stroke, stroke };
  return { label, stroke, width: 1.5, points, gaps, ...more };
}

/** Grey where nothing came, with how long that was. */
function drawSilences(scene, colour) {
  return ({ ctx, bbox, valToPos }) => {
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    for (const { before, after, seconds } of scene.trace.timeline.outages) {
      const [left, right] = [valToPos(before, "x", true), valToPos(after, "x", true)];
      ctx.fillStyle = colour.silence;
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
      if (right - left < 13 * devicePixelRatio) continue;
      ctx.fillStyle = colour.text;
      ctx.save();
      ctx.translate((left + right) / 2, bbox.top + bbox.height / 2);
      ctx.rotate(-Math.PI / 2);
      ctx.fillText(`${span(seconds)} silent`, 0, 0);
      ctx.restore();
    }
    ctx.restore();
  };
}

/** Make a trace in `place`; `told(index)` is called for the reading under the pointer, and without one. */
export function traceChart(scene, place, colour, { scales, axes, series, bands, told, gutter, drawAxes = [] }) {
  const axis = { stroke: colour.text, font: FONT, grid: { stroke: colour.grid, width: 1 }, ticks: { show: false } };
  // a time beside the right edge would be cut off
  const fits = (chart, x, text) => chart.bbox.left / devicePixelRatio + chart.valToPos(x, "x") + 3.2 * text.length < chart.width;
  const ticks = (low, high, chart) => scene.trace.timeline.ticks(low, high, Math.max(2, chart.bbox.width / devicePixelRatio / 84));
  // as wide as the widest of the charts that share it, so that their times stand under each other
  const wide = (_, texts) => (gutter.width = Math.max(gutter.width, 10 + 6.4 * Math.max(3, ...(texts ?? []).map((text) => text.length))));
  const options = {
    width: place.clientWidth, height: place.clientHeight || HEIGHT,
    pxAlign: 1,
    legend: { show: false },
    cursor: {
      drag: { x: true, y: false, setScale: false, dist: 6 },
      points: { size: 6 },
      sync: { key: "feature", filters: { pub: (kind) => kind === "mousemove" || kind === "mouseleave" } },
      bind: steer(scene),
    },
    padding: [6, 12, 0, 0],
    scales: { x: { time: false, range: () => scene.window.ends(scene.trace.timeline) }, ...scales },
    axes: [
      {
        ...axis, size: 22, gap: 2,
        splits: (chart, _axis, low, high) => ticks(low, high, chart).map(({ x }) => x),
        values: (chart) => ticks(chart.scales.x.min, chart.scales.x.max, chart).map(({ x, text }) => (fits(chart, x, text) ? text : "")),
      },
      ...axes.map((own) => ({ ...axis, space: 28, size: wide, gap: 4, values: (_, splits) => ticked(splits), ...own })),
    ],
    series: [{}, ...series],
    bands,
    hooks: {
      ready: [(chart) => attach(scene, chart)],
      drawAxes: [drawSilences(scene, colour), ...drawAxes],
      setCursor: [({ cursor }) => told(cursor.left < 0 ? null : cursor.idx)],
      setSelect: [(chart) => {
        const { left, width } = chart.select;
        if (width < 4) return;
        scene.window.show(...[left, left + width].map((at) => scene.trace.timeline.nameOf(chart.posToVal(at, "x"))));
        chart.setSelect({ left: 0, width: 0 }, false);
      }],
    },
  };
  return new uPlot(options, [[], ...series.map(() => [])], place);
}

/** Give a chart its data, and the room that it has now. */
export function redraw(chart, place, data) {
  const [width, height] = [place.clientWidth, place.clientHeight];
  if (!width) return;
  if (chart.width !== width || chart.height !== height) chart.setSize({ width, height });
  chart.setData(data);
}

/** Around zero, and at least three deviations to either side. */
export const normalizedScale = { range: (_, low, high) => [Math.min(-3, (low ?? 0) * 1.05), Math.max(3, (high ?? 0) * 1.05)] };

/** Lines at zero and one deviation above and below. */
export function levels(colour) {
  return (chart) => {
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
}

/** What a trace tells of a reading: when it was, and which. */
export function when({ timeline }, at) {
  return timeline.byCount ? `reading ${timeline.counts[at]}` : moment(timeline.times[at]);
}
