// Where readings stand on the time axis: an outage takes little room and is told, and ticks are round times of day.
const LEAST_OUTAGE = 5; // seconds
const PAUSES = 10; // usual pauses that make an outage
const ROOM = 0.1; // of the time with readings, that one outage may take
const STEPS = [
  0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200,
  86_400, 172_800, 604_800, 1_209_600, 2_592_000, 7_776_000, 31_536_000,
];

export class Timeline {
  /** `times` in seconds since 1970; a late reading stands beside the one before it. */
  constructor(times, counts) {
    this.counts = counts.slice();
    this.times = times.slice();
    for (let at = 1; at < this.times.length; at += 1) this.times[at] = Math.max(this.times[at], this.times[at - 1]);
    const pauses = this.times.slice(1).map((time, at) => time - this.times[at]);
    const sorted = pauses.filter((pause) => pause > 0).sort((a, b) => a - b);
    /** whether readings came at once, in blocks without times: then they stand side by side */
    this.byCount = sorted.length < pauses.length / 2 || !sorted.length;
    this.outages = [];
    if (this.byCount) this.positions = this.times.map((_, at) => at);
    else this.#place(pauses, sorted);
  }

  #place(pauses, sorted) {
    const quantile = (share) => sorted[Math.floor(share * (sorted.length - 1))];
    const longest = Math.max(LEAST_OUTAGE, PAUSES * quantile(0.5), 3 * quantile(0.95));
    const active = pauses.reduce((sum, pause) => sum + (pause > longest ? 0 : pause), 0);
    const room = Math.max(longest, ROOM * active);
    this.positions = [0];
    pauses.forEach((pause, at) => {
      const before = this.positions[at];
      const after = before + Math.min(pause, pause > longest ? room : pause);
      this.positions.push(after);
      if (pause > longest) this.outages.push({ before, after, seconds: pause });
    });
  }

  get end() {
    return this.positions.at(-1) ?? 0;
  }

  /** The last reading at or before a position. */
  indexAt(position) {
    let [low, high] = [0, this.positions.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.positions[middle] <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  timeAt(position) {
    return along(this.positions, this.times, position);
  }

  positionAt(time) {
    return this.byCount ? this.times.findIndex((known) => known >= time) : along(this.times, this.positions, time);
  }

  /** What a position is called in a link, and back: a time, or a reading's number. */
  nameOf(position) {
    return along(this.positions, this.byCount ? this.counts : this.times, position);
  }

  positionOf(name) {
    return along(this.byCount ? this.counts : this.times, this.positions, name);
  }

  /** Positions and texts of at most `most` ticks between two positions. */
  ticks(low, high, most) {
    if (this.byCount) return this.#countTicks(low, high, most);
    const [from, to] = [this.timeAt(low), this.timeAt(high)];
    const seconds = Math.max(high - low, 1e-3);
    const step = STEPS.find((found) => seconds / found <= most) ?? STEPS.at(-1);
    const least = (high - low) / most / 1.35;
    const ticks = [];
    const stretches = [...this.outages.filter(({ after, before }) => after > low && before < high), null];
    let begun = low;
    for (const outage of stretches) {
      const end = outage ? outage.before : high;
      const first = roundUp(this.timeAt(Math.max(begun, low) + 1e-9), step);
      for (let time = first; time <= Math.min(to, this.timeAt(end)) && ticks.length < 60; time += step) {
        const x = this.positionAt(time);
        if (x - (ticks.at(-1)?.x ?? -Infinity) >= least) ticks.push({ x, time });
      }
      begun = outage?.after ?? high;
    }
    const far = to - from;
    return ticks.map(({ x, time }) => ({ x, text: clock(time, step, far) }));
  }

  #countTicks(low, high, most) {
    const step = [1, 2, 5].flatMap((n) => [0, 1, 2, 3, 4].map((e) => n * 10 ** e)).sort((a, b) => a - b)
      .find((found) => (high - low) / found <= most) ?? 1e5;
    const found = [];
    for (let at = Math.ceil(Math.max(0, low)); at <= Math.min(high, this.counts.length - 1); at += 1) {
      if (this.counts[at] % step === 0) found.push({ x: at, text: `#${this.counts[at]}` });
    }
    return found;
  }
}

/** Piecewise linear, and beyond the ends at the pace of a second a second. */
function along(from, to, x) {
  const last = from.length - 1;
  if (last < 0) return x;
  if (x <= from[0]) return to[0] + (x - from[0]);
  if (x >= from[last]) return to[last] + (x - from[last]);
  let [low, high] = [0, last];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (from[middle] <= x) low = middle;
    else high = middle;
  }
  const share = from[high] > from[low] ? (x - from[low]) / (from[high] - from[low]) : 0;
  return to[low] + share * (to[high] - to[low]);
}

/** The first round time from `time` on, by the clock of this place. */
function roundUp(time, step) {
  const zone = step >= 3600 ? new Date(time * 1000).getTimezoneOffset() * 60 : 0;
  return Math.ceil((time - zone) / step) * step + zone;
}

const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

function clock(time, step, far) {
  const date = new Date(time * 1000);
  if (step >= 86_400) return date.toLocaleDateString([], { month: "short", day: "numeric" });
  if (far > 86_400 && date.getHours() === 0 && date.getMinutes() === 0) return date.toLocaleDateString([], { month: "short", day: "numeric" });
  if (step >= 60) return date.toLocaleTimeString([], CLOCK);
  return date.toLocaleTimeString([], { ...CLOCK, second: "2-digit", fractionalSecondDigits: step < 1 ? 2 : undefined });
}
