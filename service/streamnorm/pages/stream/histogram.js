// Histograms of a feature's values, before and after.
import { ticked } from "../common/format.js";

const BINS = 36;

/** Count values into bins between two ends; gives the counts with the mean and deviation of the values. */
function histogram(values, low, high, bins) {
  const counts = new Array(bins).fill(0);
  let n = 0;
  let mean = 0;
  let squares = 0;
  for (const x of values) {
    if (x === null) continue;
    n += 1;
    const delta = x - mean;
    mean += delta / n;
    squares += delta * (x - mean);
    if (x >= low && x <= high) counts[Math.min(bins - 1, Math.floor(((x - low) / (high - low)) * bins))] += 1;
  }
  return { counts, n, mean, std: n ? Math.sqrt(squares / n) : 0 };
}

export function range(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const x of values) {
    if (x === null) continue;
    if (x < low) low = x;
    if (x > high) high = x;
  }
  if (low > high) return [0, 1];
  const margin = high > low ? (high - low) * 0.04 : Math.max(Math.abs(low) * 0.05, 0.5);
  return [low - margin, high + margin];
}

/** Draw a histogram: bars, a mark at zero, and where it is asked for the bell of unit spread. */
export function drawHistogram(canvas, values, [low, high], colour, fill, bell) {
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
  const [left, , right] = bell ? [`−${high.toFixed(0)} σ`, "", `+${high.toFixed(0)} σ`] : ticked([low, low + (high - low) / 10, high]);
  ctx.fillText(left, 0, height);
  ctx.textAlign = "right";
  ctx.fillText(right, width, height);
  if (bell) {
    ctx.textAlign = "center";
    ctx.fillText("0", width / 2, height);
  }
  return found;
}
