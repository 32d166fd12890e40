// What of the trace is in sight: its live end, or a window that stands still while readings go on arriving.
export class Window {
  range = null; // seconds up to the latest reading; null is all that is kept
  still = null; // [from, to] while it stands still, as a timeline names them
  #listeners = [];

  onChange(listener) {
    this.#listeners.push(listener);
  }

  get paused() {
    return this.still !== null;
  }

  /** The ends in positions of a timeline. */
  ends(timeline) {
    const { positions, end } = timeline;
    if (positions.length < 2) return [-1, 1];
    let [low, high] = [0, end];
    if (this.still) [low, high] = this.still.map((name) => timeline.positionOf(name));
    else if (this.range !== null) low = Math.max(0, timeline.positionAt(timeline.times.at(-1) - this.range));
    return high > low ? [low, high] : [low - 1, low + 1];
  }

  follow(range) {
    this.range = range;
    this.still = null;
    this.#changed();
  }

  live() {
    this.follow(this.range);
  }

  show(from, to) {
    this.still = [from, to];
    this.#changed();
  }

  /** Stand still where the window is now. */
  pause(timeline) {
    this.#showPositions(timeline, ...this.ends(timeline));
  }

  /** Zoom to a share of the span around its middle, or around a position. */
  zoom(timeline, factor, around) {
    const [low, high] = this.ends(timeline);
    const middle = around ?? (low + high) / 2;
    const share = (middle - low) / (high - low);
    const span = Math.min(timeline.end, (high - low) * factor);
    this.#showPositions(timeline, middle - share * span, middle + (1 - share) * span);
  }

  /** Move by a share of the span. */
  pan(timeline, share) {
    const [low, high] = this.ends(timeline);
    const by = share * (high - low);
    this.#showPositions(timeline, low + by, high + by);
  }

  #showPositions(timeline, low, high) {
    const span = Math.max(high - low, 1e-3);
    const from = Math.min(Math.max(low, 0), Math.max(0, timeline.end - span));
    if (timeline.positions.length > 1) this.show(timeline.nameOf(from), timeline.nameOf(Math.min(from + span, timeline.end)));
  }

  #changed() {
    for (const listener of this.#listeners) listener();
  }
}
