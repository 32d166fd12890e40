// The recent readings of one stream, column by column, as the charts take them.
import { Timeline } from "./timeline.js";

export const MOST = 1200;
const MOST_NUMBERS = 1_600_000; // about 13 MB, for streams of very many features

class Column {
  constructor(length) {
    for (const part of ["raw", "normalized", "mean", "std", "low", "high"]) this[part] = new Array(length).fill(null);
  }
}

export class Trace {
  counts = [];
  times = [];
  columns = new Map();
  latest = null;
  #timeline = null;

  /** Where the readings stand on the time axis. */
  get timeline() {
    return (this.#timeline ??= new Timeline(this.times, this.counts));
  }

  /** Take a reading in; one that was seen before is passed over, and a lower count means that the stream restarted. */
  add(reading, replay = false) {
    const last = this.counts.at(-1);
    if (last !== undefined && reading.count <= last) {
      if (replay) return;
      this.clear();
    }
    for (const name in reading.values) {
      if (!this.columns.has(name)) this.columns.set(name, new Column(this.counts.length));
    }
    this.counts.push(reading.count);
    this.times.push(reading.time);
    for (const [name, column] of this.columns) {
      column.raw.push(reading.values[name] ?? null);
      column.normalized.push(reading.normalized[name] ?? null);
      this.#spread(column, reading.mean?.[name] ?? null, reading.std?.[name] ?? null, true);
    }
    this.latest = reading;
    this.#trim();
    this.#timeline = null;
  }

  /** Note the mean and deviation of today, for readings that came without. */
  note(name, mean, std) {
    const column = this.columns.get(name);
    if (column?.mean.length && column.mean.at(-1) === null) this.#spread(column, mean, std, false);
  }

  clear() {
    this.counts = [];
    this.times = [];
    this.columns.clear();
    this.latest = null;
    this.#timeline = null;
  }

  #spread(column, mean, std, append) {
    const at = append ? column.mean.length : column.mean.length - 1;
    const known = mean !== null && std !== null;
    column.mean[at] = known ? mean : null;
    column.std[at] = known ? std : null;
    column.low[at] = known ? mean - std : null;
    column.high[at] = known ? mean + std : null;
  }

  #trim() {
    const most = Math.max(60, Math.min(MOST, MOST_NUMBERS / (6 * this.columns.size + 2)));
    const over = this.counts.length - Math.floor(most);
    if (over < most / 4) return; // seldom, and many at once
    this.counts.splice(0, over);
    this.times.splice(0, over);
    for (const column of this.columns.values()) for (const part in column) column[part].splice(0, over);
  }
}
