// One feature: its newest values, its pictures and its profile.
import { number, sigmas, whole } from "../common/format.js";
import { attention, why } from "../common/health.js";
import { set } from "../common/page.js";
import { soon } from "./charts.js";
import { Pictures } from "./pictures.js";

const PROFILE = [
  ["count", "readings", whole], ["missing", "missing", whole], ["weight", "weight", plain],
  ["mean", "mean", fine], ["std", "std", plain], ["min", "min", fine], ["max", "max", fine],
];

function plain(x) {
  return number(x);
}

function fine(x, { std }) {
  return number(x, std);
}

const template = document.getElementById("card-template");

export class Card {
  changedUntil = 0; // when its kind is no news any more
  seen = false; // by IntersectionObserver: what is off screen is not drawn

  /** `scene` is the stream's trace with the window on it. */
  constructor(name, scene) {
    this.name = name;
    this.trace = scene.trace;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.element.id = `feature-${name}`;
    this.element.querySelector("h2").textContent = name;
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
    this.pictures = new Pictures(this.element, scene, name);
  }

  /** Show what the trace has now, if anyone can see it. */
  update() {
    if (!this.seen || document.hidden) return;
    soon(this.#draw);
  }

  #draw = () => {
    const column = this.trace.columns.get(this.name);
    if (!column || !this.element.isConnected) return;
    const at = column.mean.findLastIndex((x) => x !== null);
    const std = at < 0 ? null : column.std[at];
    set(this.now.raw, number(column.raw.at(-1), std));
    set(this.now.normalized, sigmas(column.normalized.at(-1)));
    if (at >= 0) {
      set(this.parts.mean, number(column.mean[at], std));
      set(this.parts.std, number(std));
    }
    this.pictures.draw();
  };

  /** Take the feature's profile in. */
  profile(found) {
    for (const [part, , shown] of PROFILE) set(this.parts[part], shown(found[part], found));
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
