// One feature: its newest values, its pictures and its profile.
import { Pictures, soon } from "./charts.js";
import { attention, number, sigmas, whole, why } from "./format.js";
import { set } from "./page.js";

const PROFILE = [
  ["count", "readings", whole], ["missing", "missing", whole], ["weight", "weight", number],
  ["mean", "mean", number], ["std", "std", number], ["min", "min", number], ["max", "max", number],
];
const template = document.getElementById("card-template");

export class Card {
  changedUntil = 0; // when its kind is no news any more
  seen = false; // by IntersectionObserver: what is off screen is not drawn

  constructor(name, trace) {
    this.name = name;
    this.trace = trace;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.element.id = `feature-${name}`;
    this.element.querySelector("h3").textContent = name;
    this.now = { raw: this.element.querySelector("[data-now=raw]"), normalized: this.element.querySelector("[data-now=normalized]") };
    this.badge = this.element.querySelector(".badge");
    this.badge.hidden = true;
    this.why = this.element.querySelector(".why");
    this.parts = {};
    const list = this.element.querySelector(".profile");
    for (const [part, label] of PROFILE) {
      const [item, term, value] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
      term.textContent = label;
      value.textContent = "–";
      value.dataset.profile = part;
      item.append(term, value);
      list.append(item);
      this.parts[part] = value;
    }
    this.pictures = new Pictures(this.element, trace, name);
  }

  /** Show what the trace has now, if anyone can see it. */
  update() {
    if (!this.seen || document.hidden) return;
    soon(this.#draw);
  }

  #draw = () => {
    const column = this.trace.columns.get(this.name);
    if (!column || !this.element.isConnected) return;
    set(this.now.raw, number(column.raw.at(-1)));
    set(this.now.normalized, sigmas(column.normalized.at(-1)));
    const at = column.mean.findLastIndex((x) => x !== null);
    if (at >= 0) {
      set(this.parts.mean, number(column.mean[at]));
      set(this.parts.std, number(column.std[at]));
    }
    this.pictures.draw();
  };

  /** Take the feature's profile in. */
  profile(found) {
    for (const [part, , shown] of PROFILE) set(this.parts[part], shown(found[part]));
    set(this.badge, found.kind);
    this.badge.classList.toggle("changed", Date.now() < this.changedUntil);
    this.badge.hidden = false;
    this.badge.dataset.kind = found.kind;
    this.element.dataset.kind = found.kind;
    set(this.why, why(found.kind));
    this.why.hidden = !attention(found.kind);
    this.trace.note(this.name, found.mean, found.std);
  }

  /** Say on the badge, for a minute, that the sensor was another kind. */
  was({ was, time }) {
    this.badge.title = `${was} until ${new Date(1000 * time).toLocaleTimeString()}`;
    this.changedUntil = Date.now() + 60_000;
  }

  remake() {
    if (this.seen) this.pictures.remake();
    else this.pictures.destroy();
  }
}
