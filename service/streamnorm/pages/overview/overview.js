// All streams at a glance: by kind, those that need attention, what was refused, and a map with a square for each.
import { of } from "../common/address.js";
import { age, rate, whole } from "../common/format.js";
import { gravity, healthOf, silent, why } from "../common/health.js";
import { line, set } from "../common/page.js";
import { refusals, refusedItem } from "./refusals.js";

const MOST_LISTED = 50;
const MOST_SQUARES = 10_000;
const SECONDS_BETWEEN_REFUSALS = 10;
const template = document.getElementById("overview-template");

export class Overview {
  id = null;
  #drawn = {};
  #examples = true; // of refusals; once they are denied, only counts are asked for
  #open = new Set(); // reasons whose examples are unfolded

  /** Show the `streams` in `place`. */
  constructor(place, streams) {
    this.streams = streams;
    place.replaceChildren(template.content.cloneNode(true));
    const find = (selector) => place.querySelector(selector);
    this.tiles = Object.fromEntries([...place.querySelectorAll("[data-tile]")].map((tile) => [tile.dataset.tile, tile]));
    this.kinds = find("#kinds");
    this.attention = find("#attention");
    this.nothing = find("#attention-none");
    this.more = find("#attention-more");
    this.map = find("#map");
    this.refused = find("#refused");
    this.refusedNote = find("#refused-note");
    this.kinds.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) streams.show(button.dataset.show);
    });
    this.map.addEventListener("click", (event) => {
      if (event.target.dataset.stream) location.hash = of(event.target.dataset.stream);
    });
    this.map.addEventListener("pointerover", ({ target }) => {
      if (target.dataset.stream) target.title ||= `${target.dataset.stream}: ${target.dataset.word || "no reading"}`;
    });
    this.timers = [setInterval(() => this.draw(), 1000), setInterval(() => this.#lookAtRefusals(), SECONDS_BETWEEN_REFUSALS * 1000)];
    this.draw();
    this.#lookAtRefusals();
  }

  close() {
    this.timers.forEach(clearInterval);
  }

  refresh() {
    this.#examples = true; // the key may be another one
    return this.#lookAtRefusals();
  }

  remake() {}

  draw() {
    if (document.hidden) return;
    const now = Date.now() / 1000;
    const rows = this.streams.all.map((row) => ({ row, health: healthOf(row, now) }));
    set(this.tiles.streams, whole(rows.length));
    const rates = rows.map(({ row }) => row.rate.perSecond(now)).filter((known) => known !== null);
    set(this.tiles.rate, rate(rates.length ? rates.reduce((sum, known) => sum + known) : null));
    set(this.tiles.features, whole(rows.reduce((sum, { row }) => sum + row.info.features.length, 0)));
    set(this.tiles.silent, whole(rows.filter(({ row }) => silent(row.info, row.last, now)).length));
    this.#drawKinds(rows);
    this.#drawAttention(rows, now);
    this.#drawMap(rows);
  }

  /** Draw a part anew if what it shows is something else. */
  #anew(part, key, make) {
    if (this.#drawn[part] === key) return;
    this.#drawn[part] = key;
    make();
  }

  #drawKinds(rows) {
    const found = {};
    for (const { row } of rows) {
      for (const [kind, n] of Object.entries(row.kinds ?? {})) {
        if (!n) continue;
        found[kind] ??= { kind, features: 0, streams: 0 };
        found[kind].features += n;
        found[kind].streams += 1;
      }
    }
    const order = Object.values(found).sort((a, b) => place(a.kind) - place(b.kind) || b.features - a.features);
    this.#anew("kinds", JSON.stringify(order), () => {
      const top = Math.max(...order.map(({ features }) => features));
      this.kinds.replaceChildren(...order.map((one) => kindRow(one, top)));
    });
  }

  #drawAttention(rows, now) {
    const odd = rows.filter(({ health: [, kind] }) => kind === "silent" || gravity.includes(kind));
    odd.sort((a, b) => place(a.health[1]) - place(b.health[1]) || (a.row.id < b.row.id ? -1 : 1));
    const shown = odd.slice(0, MOST_LISTED);
    this.nothing.hidden = odd.length > 0;
    set(this.more, odd.length > shown.length ? `and ${whole(odd.length - shown.length)} more: choose “worst first” in the list` : "");
    this.#anew("attention", JSON.stringify(shown.map(({ row, health }) => [row.id, health])), () => {
      this.attention.replaceChildren(...shown.map(({ row, health }) => oddRow(row, health)));
    });
    shown.forEach(({ row }, at) => set(this.attention.children[at].lastElementChild, row.last ? age(now - row.last) : "no reading"));
  }

  #drawMap(rows) {
    const shown = rows.sort((a, b) => (a.row.id < b.row.id ? -1 : 1)).slice(0, MOST_SQUARES);
    this.#anew("streams", shown.map(({ row }) => row.id).join("\n"), () => {
      this.map.replaceChildren(...shown.map(({ row }) => {
        const square = document.createElement("i");
        square.dataset.stream = row.id;
        return square;
      }));
    });
    const squares = this.map.children;
    shown.forEach(({ health: [word, kind] }, at) => {
      if (squares[at].dataset.word === word) return;
      squares[at].dataset.word = word;
      squares[at].dataset.kind = kind;
      squares[at].title = "";
    });
  }

  #drawRefused(found) {
    this.refused.replaceChildren(...found.map((one) => {
      const key = [one.source, one.filter, one.reason].join("\n");
      const item = refusedItem(one, this.#open.has(key));
      item.firstElementChild.addEventListener("toggle", ({ target }) => this.#open[target.open ? "add" : "delete"](key));
      return item;
    }));
  }

  async #lookAtRefusals() {
    if (document.hidden || !this.refused.isConnected) return;
    try {
      const found = await refusals(this.#examples);
      this.#examples = found.every(({ examples }) => examples);
      this.#anew("refused", JSON.stringify(found), () => this.#drawRefused(found));
      set(this.refusedNote, found.length ? "" : "Nothing.");
    } catch (problem) {
      if (problem.status) set(this.refusedNote, problem.message); // such as a key for some streams only
    }
  }
}

const place = (kind) => (kind === "silent" ? 1.5 : gravity.includes(kind) ? gravity.indexOf(kind) : 99);

function badge(kind, word = kind) {
  const element = line("span", word);
  element.className = "badge";
  element.dataset.kind = kind;
  return element;
}

function kindRow({ kind, features, streams }, top) {
  const bar = document.createElement("i");
  bar.className = "bar-of";
  bar.dataset.kind = kind;
  bar.style.width = `${Math.max(0.5, (100 * features) / top)}%`;
  const track = line("span", bar);
  track.className = "track";
  const figures = line("span", line("b", whole(features)), ` in ${whole(streams)} ${streams === 1 ? "stream" : "streams"}`);
  figures.className = "figures";
  const button = line("button", badge(kind), track, figures);
  button.type = "button";
  button.dataset.show = kind;
  button.title = why(kind);
  return line("li", button);
}

function oddRow(row, [word, kind]) {
  const link = line("a", row.id);
  link.href = of(row.id);
  link.title = row.id;
  const values = Object.entries(row.kinds ?? {}).filter(([found, n]) => n && gravity.includes(found));
  const words = kind === "silent" ? [badge(kind, word)] : values.sort(([a], [b]) => place(a) - place(b)).map(([found, n]) => badge(found, `${n} ${found}`));
  const state = line("span", ...words);
  state.className = "states";
  return line("li", link, state, line("span"));
}
