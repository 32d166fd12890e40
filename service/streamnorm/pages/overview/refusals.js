// What the service refused since it began, by reason: with examples for who may see them, else counts of its metrics.
import { get, send } from "../common/api.js";
import { moment, whole } from "../common/format.js";
import { line } from "../common/page.js";

const SAMPLE = /^streamnorm_(refusals|mqtt_refused)_total\{([^}]*)\} (\S+)$/gm;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Return the refusals, the most frequent first; without `examples` only counts are asked for. */
export async function refusals(examples) {
  if (!examples) return counted(await (await send("metrics")).text());
  try {
    return (await get("v1/refusals")).refusals;
  } catch (problem) {
    if (problem.status !== 401 && problem.status !== 403) throw problem;
    return refusals(false);
  }
}

/** Return the refusals in a text for Prometheus, with no examples: null. */
function counted(metrics) {
  const found = [];
  for (const [, family, labels, value] of metrics.matchAll(SAMPLE)) {
    const named = Object.fromEntries([...labels.matchAll(LABEL)].map(([, name, text]) => [name, text]));
    const source = family === "refusals" ? "http" : "mqtt";
    if (Number(value)) found.push({ source, filter: named.filter ?? "", reason: named.reason, count: Number(value), examples: null });
  }
  return found.sort((a, b) => b.count - a.count);
}

/** Build the item of a reason; `open` unfolds its examples. */
export function refusedItem({ source, filter, reason, count, examples }, open) {
  const what = reason.replaceAll("-", " ");
  const from = [source === "mqtt" ? "MQTT" : source, filter].filter(Boolean).join(", ");
  const figures = [line("span", source === "http" ? what : `${from}: ${what}`), line("b", whole(count))];
  if (!examples?.length) return line("li", ...figures);
  const details = line("details", line("summary", ...figures), line("ul", ...examples.map(exampleItem)));
  details.open = open;
  return line("li", details);
}

function exampleItem({ time, detail, payload }) {
  const item = line("li", line("time", moment(Date.parse(time) / 1000)), line("p", detail));
  item.firstChild.dateTime = time;
  if (payload) item.append(line("pre", payload));
  return item;
}
