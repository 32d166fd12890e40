// Numbers, ages and rates as people read them.

/** A value with about five significant digits. */
export function number(x) {
  if (x === null || x === undefined || Number.isNaN(x)) return "–";
  const size = Math.abs(x);
  if (size >= 1e9 || (size > 0 && size < 1e-4)) return x.toExponential(3);
  if (Number.isInteger(x)) return String(x);
  return x.toFixed(Math.min(7, Math.max(0, 4 - Math.floor(Math.log10(size)))));
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
  if (seconds < 100) return `${Math.floor(seconds)} s ago`;
  if (seconds < 6000) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} days ago`;
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

const KINDS = {
  stuck: "It used to vary and has repeated one value for long: the sensor may be broken.",
  constant: "It has never changed; a constant normalizes to exactly 0.",
  invalid: "It sends nothing but missing values.",
  drifting: "Its level keeps moving; it is measured against its recent past.",
};
export const attention = (kind) => kind in KINDS;
export const why = (kind) => KINDS[kind] ?? "";
/** The gravest first. */
export const gravity = ["stuck", "invalid", "constant", "drifting"];
