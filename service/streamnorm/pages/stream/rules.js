// What rules and mappings matched a stream, and what says each parameter of its features.
import { line } from "../common/page.js";

/** Build the explanation from the answer of `/v1/streams/{id}/rules`. */
export function explained({ file, sources, features, mappings }) {
  const part = (title, items, none) => [line("h2", title), items.length ? line("ul", ...items) : line("p", none)];
  const found = line("div",
    ...part(file ? `Rules of ${file} that matched, and what else speaks of it` : "What speaks of it; there is no file of rules", sources.map(sourceItem)),
    ...part("What holds, and what says so", alike(features).map((group) => holding(group, sources))),
    ...part("Mappings that made its readings", mappings.map(mappingItem), "None: its readings came as they are."),
  );
  found.className = "explained";
  return found;
}

const shown = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));
const words = (key) => key.replaceAll("_", " ");
const place = ({ by, line: at }) => (by === "rule" ? `rule, line ${at}` : by === "stream" ? "set for the stream" : "default");

function sourceItem(source) {
  const { by, streams, features, matched, parameters } = source;
  const said = Object.entries(parameters).map(([key, value]) => `${words(key)} ${shown(value)}`).join(", ");
  const globs = by === "rule" ? ` for streams ${streams}` : "";
  const which = features === "*" ? "" : `, features ${features} (${matched.length ? matched.join(", ") : "none matched"})`;
  return line("li", line("b", place(source)), `${globs}${which}: ${said || "nothing"}`);
}

/** Features with the same parameters from the same sources, together: [names, parameters]. */
function alike(features) {
  const groups = new Map();
  for (const [name, held] of Object.entries(features)) {
    const key = JSON.stringify(held);
    if (!groups.has(key)) groups.set(key, [[], held]);
    groups.get(key)[0].push(name);
  }
  return [...groups.values()];
}

function holding([names, held], sources) {
  const said = Object.entries(held).map(([key, { value, source }]) =>
    line("li", `${words(key)} ${shown(value)}: ${source === null ? "by the method itself" : place(sources[source])}`));
  return line("li", line("b", names.join(", ")), line("ul", ...said));
}

function mappingItem({ name, line: at, topic }) {
  return line("li", line("b", name), at === null ? ", a preset" : `, line ${at}`, topic && `; last topic ${topic}`);
}
