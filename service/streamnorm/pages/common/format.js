// Numbers, ages and rates as people read them.

/** A value with about five significant digits, or as many as its deviation asks for. */
export function number(x, std = null) {
  if (x === null || x === undefined || Number.isNaN(x)) return "–";
  const size = Math.abs(x);
  if (std > 0 && size / std > 1e4 && size < 1e15) return x.toFixed(clamp(2 - Math.floor(Math.log10(std)), 0, 9));
  if (size >= 1e12 || (size > 0 && size < 1e-4)) return x.toExponential(3);
  if (Number.isInteger(x)) return String(x);
  return x.toFixed(clamp(4 - Math.floor(Math.log10(size)), 0, 7));
}

const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

/** Ticks of an axis, in as many digits as it takes to tell them apart. */
export function ticked(ticks) {
  const known = ticks.filter((x) => x !== null);
  const top = Math.max(...known.map(Math.abs));
  const step = Math.min(...known.slice(1).map((x, at) => Math.abs(x - known[at])).filter((gap) => gap > 0));
  if (!(top > 0)) return ticks.map((x) => (x === null ? "" : "0"));
  const finest = Number.isFinite(step) ? Math.floor(Math.log10(step) + 1e-9) : Math.floor(Math.log10(top)) - 3;
  const digits = Math.floor(Math.log10(top)) - finest + 1;
  const plain = (top >= 1e-3 && top < 1e6) || (top >= 1e6 && top < 1e15 && digits > 6);
  // A step of 0.25 has a digit more than its size says.
  const more = Number.isFinite(step) && Math.abs(step / 10 ** finest - Math.round(step / 10 ** finest)) > 1e-6 ? 1 : 0;
  const text = (x) => (plain ? x.toFixed(clamp(more - finest, 0, 9)) : x === 0 ? "0" : x.toExponential(clamp(digits - 1 + more, 0, 9)));
  return ticks.map((x) => (x === null ? "" : text(x).replace("-", "−")));
}

/** A value in few digits. */
export const short = (x) => (Math.abs(x) < 1e-9 ? "0" : String(Number(x.toPrecision(Math.abs(x) < 1 ? 2 : Math.abs(x) < 1000 ? 4 : 7)))).replace("-", "−");

/** A count, its thousands set apart. */
export const whole = (n) => (n ?? 0).toLocaleString("en");

/** A normalized value, in standard deviations. */
export const sigmas = (y) => (y === null || y === undefined ? "–" : (y < 0 ? "−" : "+") + Math.abs(y).toFixed(3));

export function rate(perSecond) {
  if (perSecond === null) return "–";
  if (perSecond >= 100) return `${whole(Math.round(perSecond))}/s`;
  if (perSecond >= 0.95) return `${perSecond.toFixed(1)}/s`;
  if (perSecond * 60 >= 0.95) return `${(perSecond * 60).toFixed(1)}/min`;
  return perSecond > 0 ? `${(perSecond * 3600).toFixed(1)}/h` : "0/s";
}

export function age(seconds) {
  if (seconds === null) return "–";
  if (seconds < 2) return "now";
  return `${span(seconds)} ago`;
}

/** A time of day, with the day where it is another one. */
export function moment(seconds) {
  const date = new Date(seconds * 1000);
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const today = date.toDateString() === new Date().toDateString();
  return today ? time : `${date.toLocaleDateString([], { month: "short", day: "numeric" })}, ${time}`;
}

/** A span of time, in one unit. */
export function span(seconds) {
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** How often readings come, from their counts over the last ten seconds. */
export class Rate {
  #samples = [];

  add(seconds, count) {
    const last = this.#samples.at(-1);
    if (last && count < last[1]) this.#samples = [];
    this.#samples.push([seconds, count]);
    while (this.#samples.length > 2 && this.#samples[0][0] < seconds - 10) this.#samples.shift();
  }

  perSecond(now) {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || first === last || last[0] <= first[0]) return null;
    const usual = (last[0] - first[0]) / (last[1] - first[1]);
    const waiting = now - last[0]; // a stream that fell silent slows down
    return waiting > 5 && waiting > 3 * usual ? (last[1] - first[1]) / (now - first[0]) : 1 / usual;
  }
}
