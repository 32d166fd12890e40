// Which streams are listed, and in which order.
import { attention, gravity, healthOf, silent } from "../common/health.js";

const HEALTH = {
  attention: ["needs attention", (row) => Object.keys(row.kinds ?? {}).some((kind) => row.kinds[kind] && attention(kind))],
  silent: ["silent for 10 min", (row, now) => silent(row.info, row.last, now)],
};
const byName = (a, b) => (a.id < b.id ? -1 : 1);
const rank = (row, now) => {
  const [, kind] = healthOf(row, now);
  return kind === "silent" ? 1.5 : gravity.includes(kind) ? gravity.indexOf(kind) : 99;
};
const ORDERS = {
  "": ["name", () => byName],
  health: ["worst first", (now) => (a, b) => rank(a, now) - rank(b, now) || byName(a, b)],
  last: ["latest first", () => (a, b) => (b.last ?? 0) - (a.last ?? 0) || byName(a, b)],
  silence: ["longest silent first", () => (a, b) => (a.last ?? 0) - (b.last ?? 0) || byName(a, b)],
  rate: ["fastest first", (now) => (a, b) => (b.rate.perSecond(now) ?? 0) - (a.rate.perSecond(now) ?? 0) || byName(a, b)],
  count: ["most readings first", () => (a, b) => b.count - a.count || byName(a, b)],
};

export class Filters {
  #search = document.getElementById("search");
  #show = document.getElementById("show");
  #sort = document.getElementById("sort");
  #known = "";

  /** `onChange()` is called when another choice is made. */
  constructor(onChange) {
    this.#sort.replaceChildren(...Object.entries(ORDERS).map(([value, [text]]) => new Option(text, value)));
    this.offer([]);
    this.#search.addEventListener("input", onChange);
    for (const select of [this.#show, this.#sort]) select.addEventListener("change", onChange);
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.target.closest("input, textarea, select, dialog")) return;
      event.preventDefault();
      this.#search.focus();
    });
  }

  /** Offer the kinds of sensors that there are. */
  offer(kinds) {
    const others = kinds.filter((kind) => !gravity.includes(kind)).sort();
    const key = others.join();
    if (key === this.#known && this.#show.options.length) return;
    this.#known = key;
    const chosen = this.value.show;
    const options = [new Option("all streams", ""), ...Object.entries(HEALTH).map(([value, [text]]) => new Option(text, value))];
    options.push(...[...gravity, ...others].map((kind) => new Option(kind, kind)));
    this.#show.replaceChildren(...options);
    this.#choose(this.#show, chosen);
  }

  get value() {
    return { q: this.#search.value.trim(), show: this.#show.value, sort: this.#sort.value };
  }

  set value({ q = "", show = "", sort = "" }) {
    if (this.#search.value.trim() !== q) this.#search.value = q;
    this.#choose(this.#show, show);
    this.#choose(this.#sort, sort in ORDERS ? sort : "");
  }

  /** Whether time alone changes what is listed. */
  get lively() {
    const { show, sort } = this.value;
    return show === "silent" || sort !== "";
  }

  /** The streams to list, in order. */
  apply(rows, now) {
    const { q, show, sort } = this.value;
    const wanted = q.toLowerCase();
    const kept = HEALTH[show]?.[1] ?? ((row) => !show || row.kinds?.[show] > 0);
    return rows.filter((row) => row.id.toLowerCase().includes(wanted) && kept(row, now)).sort(ORDERS[sort][1](now));
  }

  /** Why nothing is listed. */
  get nothing() {
    const { q, show } = this.value;
    const what = show ? `No stream is listed under “${this.#show.selectedOptions[0].text}”` : "No stream";
    if (!q) return show ? `${what}.` : "";
    return show ? `${what} with “${q}” in its name.` : `No stream has “${q}” in its name.`;
  }

  #choose(select, value) {
    if (value && ![...select.options].some((option) => option.value === value)) select.add(new Option(value, value));
    select.value = value;
  }
}
