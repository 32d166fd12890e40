// Server-sent events over fetch, since EventSource cannot send a key; reconnects by itself and says so.
import { Problem, send } from "./api.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 5000;
const SILENCE = 40_000; // the service breaks its own silence every 15 seconds

/** Split what arrives into events; gives what is left over. */
export function parse(text, each) {
  const blocks = text.split("\n\n");
  const rest = blocks.pop();
  for (const block of blocks) {
    let name = "message";
    let data = "";
    for (const line of block.split("\n")) {
      if (line.startsWith("event: ")) name = line.slice(7);
      else if (line.startsWith("data: ")) data += line.slice(6);
    }
    if (data) each(name, JSON.parse(data));
  }
  return rest;
}

export class Live {
  #abort = null;
  #wake = null;
  #paused = false;
  #stream = null;
  #running = false;

  /** `onEvent(name, data)`; `onState(state)` with live, connecting, reconnecting, key or paused. */
  constructor(onEvent, onState) {
    this.onEvent = onEvent;
    this.onState = onState;
    document.addEventListener("visibilitychange", () => this.#pause(document.hidden));
    addEventListener("online", () => this.again());
  }

  /** Follow all streams, and every reading of one. */
  follow(stream) {
    if (this.#running && stream === this.#stream) return;
    this.#stream = stream;
    if (this.#running) this.again();
    else this.#run();
  }

  /** Connect anew, now. */
  again() {
    this.#abort?.abort();
    this.#wake?.();
  }

  #pause(hidden) {
    this.#paused = hidden;
    if (hidden) this.onState("paused");
    this.again();
  }

  async #run() {
    this.#running = true;
    let wait = 0;
    for (;;) {
      if (this.#paused) {
        await this.#sleep(Infinity);
        continue;
      }
      const abort = (this.#abort = new AbortController());
      try {
        await this.#read(abort, () => {
          wait = 0;
          this.onState("live");
        });
      } catch (error) {
        if (error instanceof Problem && (error.status === 401 || error.status === 403)) {
          this.onState("key", error);
          await this.#sleep(Infinity);
          continue;
        }
      }
      if (abort.signal.aborted && abort.signal.reason !== "silence") continue;
      this.onState("reconnecting");
      wait = Math.min(LONGEST_WAIT, wait ? wait * 1.6 : FIRST_WAIT);
      await this.#sleep(wait * (0.75 + Math.random() / 2));
    }
  }

  async #read(abort, opened) {
    const query = new URLSearchParams({ latest: "true" });
    if (this.#stream) {
      query.set("stream", this.#stream);
      query.set("history", "true");
    }
    const response = await send(`v1/events?${query}`, { signal: abort.signal, headers: { Accept: "text/event-stream" } });
    opened();
    let watch;
    const alive = () => {
      clearTimeout(watch);
      watch = setTimeout(() => abort.abort("silence"), SILENCE);
    };
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    try {
      for (;;) {
        alive();
        const { value, done } = await reader.read();
        if (done) return;
        text = parse(text + value, this.onEvent);
      }
    } finally {
      clearTimeout(watch);
    }
  }

  #sleep(milliseconds) {
    return new Promise((resolve) => {
      const timer = milliseconds === Infinity ? null : setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
