// What changes a stream: its configuration, a reset, a reading typed by hand; its snapshot as a file; advice; and its rules.
import { get, put, send, streamPath } from "../common/api.js";
import { number, sigmas } from "../common/format.js";
import { save } from "../common/export.js";
import { explained } from "./rules.js";

const NUMBERS = ["horizon", "time_constant", "warmup"];

/** The methods there are, as the description of the calls says. */
let methods;
async function knownMethods() {
  methods ??= get("openapi.json").then((spec) =>
    Object.values(spec.components.schemas).map((schema) => schema.title?.endsWith("Configuration") && schema.properties.method?.const).filter(Boolean),
  );
  return methods;
}

/** Parse what was typed; an error says that it is no JSON. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`This is not JSON: ${error.message}`);
  }
}

export class Panels {
  #config = null;
  #touched = false; // the reading was edited by hand
  #dirty = false; // the configuration was

  constructor(place, id, trace, hooks) {
    this.id = id;
    this.hooks = hooks;
    const find = (selector) => place.querySelector(selector);
    this.chips = find("#config-chips");
    this.form = find("#config-form");
    this.told = find("#config-message");
    this.tryForm = find("#try-form");
    this.answer = find("#try-message");
    this.form.addEventListener("submit", (event) => this.#apply(event));
    this.form.addEventListener("input", () => { this.#dirty = true; });
    find("#reset").addEventListener("click", () => this.#reset());
    find("#snapshot").addEventListener("click", () => this.#download());
    this.tryForm.addEventListener("submit", (event) => this.#try(event));
    this.tryForm.elements.values.addEventListener("input", () => { this.#touched = true; });
    this.tryForm.elements.learn.checked = true;
    this.advice = find("#advice-message");
    find("#advice-panel").addEventListener("toggle", (event) => event.target.open && this.#advise());
    this.rules = find("#rules-message");
    find("#rules-panel").addEventListener("toggle", (event) => event.target.open && this.#explain());
  }

  /** Show a stream's configuration. */
  async show({ config }) {
    this.#config = config;
    this.form.firstElementChild.disabled = false;
    const shown = Object.entries(config).filter(([, value]) => value !== null && (typeof value !== "object" || Object.keys(value).length));
    this.chips.replaceChildren(...shown.map(([name, value]) => {
      const chip = document.createElement("span");
      chip.className = "chip";
      chip.textContent = name === "method" ? value : `${name.replaceAll("_", " ")} ${typeof value === "object" ? JSON.stringify(value) : value}`;
      return chip;
    }));
    if (this.#dirty) return; // someone is typing
    for (const name of NUMBERS) this.form.elements[name].value = config[name] ?? "";
    const features = config.features ?? {};
    this.form.elements.features.value = Object.keys(features).length ? JSON.stringify(features) : "";
    const select = this.form.elements.method;
    select.replaceChildren(new Option(config.method));
    const names = await knownMethods().catch(() => []);
    const others = names.filter((name) => name !== config.method);
    select.replaceChildren(select.options[0], ...others.map((name) => new Option(name)));
  }

  /** Offer the latest values as the reading to send. */
  suggest(values) {
    if (this.#touched || this.tryForm.contains(document.activeElement)) return;
    const plain = Object.fromEntries(Object.entries(values).slice(0, 16).map(([name, x]) => [name, x === null ? null : Number(x.toPrecision(6))]));
    this.tryForm.elements.values.value = JSON.stringify(plain);
  }

  async #apply(event) {
    event.preventDefault();
    const method = this.form.elements.method.value;
    // A method's own parameters mean nothing to another one.
    const config = method === this.#config.method ? { ...this.#config } : { method };
    for (const name of NUMBERS) {
      const text = this.form.elements[name].value.trim();
      if (text) config[name] = Number.isNaN(Number(text)) ? text : Number(text);
      else delete config[name];
    }
    // Whichever of the two was changed is meant.
    if (config.horizon !== undefined && config.time_constant !== undefined) {
      if (config.horizon === this.#config.horizon) delete config.horizon;
      else if (config.time_constant === this.#config.time_constant) delete config.time_constant;
    }
    await this.#told(this.told, async () => {
      const features = this.form.elements.features.value.trim();
      if (features) config.features = parsed(features);
      else delete config.features;
      const info = await put("PUT", streamPath(this.id), config);
      this.#dirty = false;
      await this.hooks.changed();
      return info.restarted ? `Applied; the statistics had to restart: ${info.reason}` : "Applied; the statistics go on.";
    });
  }

  async #reset() {
    const sure = await ask("Reset the statistics?", `What ${this.id} has learned is forgotten; configuration and numbering stay.`, "Reset");
    if (!sure) return;
    await this.#told(this.told, async () => {
      await put("POST", streamPath(this.id, "/reset"));
      await this.hooks.changed();
      return "Reset.";
    });
  }

  async #download() {
    await this.#told(this.told, async () => {
      save(await (await send(streamPath(this.id, "/snapshot"))).blob(), `${this.id}.json`);
      return `Saved as ${this.id}.json.`;
    });
  }

  async #try(event) {
    event.preventDefault();
    const { values, learn } = this.tryForm.elements;
    await this.#told(this.answer, async () => {
      const reading = parsed(values.value);
      const body = reading && typeof reading === "object" && "values" in reading ? reading : { values: reading };
      const answer = await put("POST", streamPath(this.id, `/readings?stats=true&learn=${learn.checked}`), body);
      return answerTable(body.values, answer);
    });
  }

  /** Say what might be done, and as which rules; nothing is applied. */
  async #advise() {
    await this.#told(this.advice, async () => {
      const { advice, toml } = await get(streamPath(this.id, "/advice"));
      if (!advice.length) return "Nothing: its readings show no reason to change anything.";
      const reasons = document.createElement("ul");
      reasons.append(...advice.map(({ feature, reason }) => {
        const item = document.createElement("li");
        item.textContent = feature ? `${feature}: ${reason}` : reason;
        return item;
      }));
      const found = document.createDocumentFragment();
      found.append(reasons);
      if (advice.some(({ rule }) => Object.keys(rule).length)) {
        const rules = document.createElement("pre");
        rules.textContent = toml;
        found.append("As rules for streamnorm.toml:", rules);
      }
      return found;
    });
  }

  /** Say what rules and mappings matched, and what holds because of them. */
  async #explain() {
    await this.#told(this.rules, async () => explained(await get(streamPath(this.id, "/rules"))));
  }

  async #told(place, work) {
    place.classList.remove("bad");
    place.replaceChildren("…");
    try {
      place.replaceChildren(await work());
    } catch (problem) {
      place.classList.add("bad");
      const hint = problem.status === 403 ? " Another key may: see “Key” above." : "";
      place.replaceChildren(problem.message + hint);
      if (problem.status === 401) dispatchEvent(new Event("streamnorm-key"));
    }
  }
}

function answerTable(raw, answer) {
  const table = document.createElement("table");
  const line = (tag, ...cells) => {
    const row = document.createElement("tr");
    for (const text of cells) {
      const cell = document.createElement(tag);
      cell.textContent = text;
      row.append(cell);
    }
    return row;
  };
  const shown = (x, how) => (typeof x === "object" && x !== null ? "array" : how(x));
  table.append(line("th", "feature", "raw", "normalized", "mean", "std"));
  for (const [name, y] of Object.entries(answer.values)) {
    table.append(line("td", name, shown(raw[name], number), shown(y, sigmas), shown(answer.mean?.[name], number), shown(answer.std?.[name], number)));
  }
  const caption = table.createCaption();
  caption.textContent = `Answered: reading ${answer.count}, ${answer.ready ? "ready" : "still warming up"}`;
  return table;
}

/** Ask for a yes. */
function ask(title, text, yes) {
  const dialog = document.getElementById("ask-dialog");
  for (const [id, words] of [["ask-title", title], ["ask-text", text], ["ask-yes", yes]]) document.getElementById(id).textContent = words;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}
