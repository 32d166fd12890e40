// All streams: what is known of each, and the list of those that were asked for.
import * as address from "../common/address.js";
import { get } from "../common/api.js";
import { Rate, whole } from "../common/format.js";
import { counted } from "../common/health.js";
import { set } from "../common/page.js";
import { Filters } from "./filters.js";
import { Rows } from "./rows.js";

const PAGE = 1000;
const MOST = 50_000; // more are searched for by the beginning of their names
const SPARK = 40;
const SECONDS_BETWEEN_LOADS = 30; // kinds that change are told, and found by and by

export class Streams {
  #known = new Map(); // id -> what is known of it
  #shown = [];
  #more = false;
  #rows = new Rows();
  #list = document.getElementById("streams");
  #note = document.getElementById("streams-note");
  #count = document.getElementById("stream-count");
  #filters = new Filters(() => this.#asked());
  #loading = null;
  #loaded = false;

  /** `onChange(size)` is called when streams came or went. */
  constructor(onChange) {
    this.onChange = onChange;
    setInterval(() => this.#tick(), 1000);
    setInterval(() => document.hidden || this.load().catch(() => {}), SECONDS_BETWEEN_LOADS * 1000);
  }

  get ids() {
    return [...this.#known.keys()];
  }

  get all() {
    return [...this.#known.values()];
  }

  has(id) {
    return this.#known.has(id);
  }

  /** Ask for the list anew, all of its pages. */
  load() {
    this.#loading ??= this.#load().finally(() => { this.#loading = null; });
    return this.#loading;
  }

  async #load() {
    const found = new Set();
    let next = "";
    do {
      const page = await get(`v1/streams?limit=${PAGE}&kinds=true&after=${encodeURIComponent(next)}`);
      for (const info of page.streams) {
        found.add(info.stream);
        this.#know(info);
      }
      next = page.next;
      this.#loaded = true;
      if (next && found.size === PAGE) this.#arrange(); // the first page at once
    } while (next && found.size < MOST);
    this.#more = Boolean(next);
    if (!this.#more) for (const id of this.#known.keys()) if (!found.has(id)) this.#known.delete(id);
    this.#arrange();
  }

  /** Take in the latest readings of streams; those not known yet are asked for. */
  async glance(latest) {
    const now = Date.now() / 1000;
    const unknown = latest.filter((reading) => !this.#hear(reading, now));
    this.draw();
    if (!unknown.length) return;
    if (unknown.length > 20) await this.load();
    else await Promise.all(unknown.map(({ stream }) => this.refresh(stream)));
    for (const reading of unknown) this.#hear(reading, now);
    this.draw();
  }

  /** Ask for one stream anew; a stream that is gone leaves the list. */
  async refresh(id) {
    const { streams } = await get(`v1/streams?limit=1&kinds=true&prefix=${encodeURIComponent(id)}`);
    if (streams[0]?.stream === id) this.#know(streams[0]);
    else this.#known.delete(id);
    this.#arrange();
  }

  choose(id) {
    this.#rows.choose(id);
  }

  /** Take in a stream's profile. */
  health(id, features) {
    const row = this.#known.get(id);
    if (row) row.kinds = counted(features);
  }

  /** A feature became another kind. */
  kind({ stream, was, kind }) {
    const row = this.#known.get(stream);
    if (!row?.kinds) return;
    row.kinds = { ...row.kinds, [was]: Math.max(0, (row.kinds[was] ?? 0) - 1), [kind]: (row.kinds[kind] ?? 0) + 1 };
  }

  /** List what an address asks for. */
  ask(given) {
    this.#filters.value = given;
    this.#arrange();
  }

  /** List the streams with a kind of sensor, or of a state of health. */
  show(kind) {
    this.#filters.value = { ...this.#filters.value, q: "", show: kind };
    this.#asked();
  }

  /** Write what is in sight. */
  draw() {
    this.#rows.draw();
  }

  get asked() {
    return this.#filters.value;
  }

  #tick() {
    if (document.hidden) return;
    if (this.#filters.lively && !this.#list.matches(":hover") && !this.#list.contains(document.activeElement)) this.#arrange();
    else this.draw();
  }

  #know(info) {
    const row = this.#known.get(info.stream) ?? { id: info.stream, rate: new Rate(), spark: [], kinds: null, ready: null, values: null };
    const updated = info.count ? Date.parse(info.updated) / 1000 : null;
    row.last = Math.max(row.last ?? 0, updated ?? 0) || null;
    row.info = info;
    row.count = info.count;
    row.kinds = info.kinds;
    this.#known.set(info.stream, row);
  }

  /** Take in a stream's latest reading; tells whether the stream is known. */
  #hear(reading, now) {
    const row = this.#known.get(reading.stream);
    if (!row) return false;
    // The latest reading is told again with each connection: only a new one is a sign of life.
    if (row.told !== undefined && row.told !== reading.count) row.last = now;
    else if (row.told === reading.count) return true;
    row.told = reading.count;
    row.count = reading.count;
    row.ready = reading.ready;
    row.values = reading.values;
    row.rate.add(now, reading.count);
    const first = Object.values(reading.values)[0];
    if (first !== null && first !== undefined) row.spark.push(first);
    if (row.spark.length > SPARK) row.spark.shift();
    return true;
  }

  async #asked() {
    address.change(this.#filters.value);
    this.#arrange();
    this.#rows.toTop();
    const { q } = this.#filters.value;
    if (!this.#more || !q) return;
    const page = await get(`v1/streams?limit=100&kinds=true&prefix=${encodeURIComponent(q)}`);
    page.streams.forEach((info) => this.#know(info));
    if (this.#filters.value.q === q) this.#arrange();
  }

  #arrange() {
    const all = this.all;
    this.#filters.offer([...new Set(all.flatMap((row) => Object.keys(row.kinds ?? {})))]);
    this.#shown = this.#filters.apply(all, Date.now() / 1000);
    const total = `${whole(all.length)}${this.#more ? "+" : ""}`;
    set(this.#count, !all.length ? "" : this.#shown.length === all.length ? total : `${whole(this.#shown.length)} of ${total}`);
    const more = this.#more ? "More streams exist: search by the beginning of their names." : "";
    set(this.#note, all.length && !this.#shown.length ? this.#filters.nothing : more);
    this.#rows.show(this.#shown);
    if (this.#loaded) this.onChange(all.length);
  }
}
