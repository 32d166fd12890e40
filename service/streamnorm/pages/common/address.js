// The view as a link: the stream, and after a "?" what is shown of it and of the list: #boiler-7?range=300&show=stuck
const OF_THE_LIST = ["q", "show", "sort"];

/** The address of today: `id` is empty where no stream is chosen, `asked` tells that this was meant. */
export function read() {
  const [name, query] = location.hash.slice(1).split("?");
  let id = name;
  try {
    id = decodeURIComponent(name);
  } catch {
    // not what this page writes: taken as it is
  }
  return { id, asked: query !== undefined, given: Object.fromEntries(new URLSearchParams(query)) };
}

/** The address of a stream, with what is shown of it. */
export function of(id, given = {}) {
  const query = new URLSearchParams(Object.entries(given).filter(([, value]) => value !== "" && value !== null && value !== undefined));
  return `#${encodeURIComponent(id)}${query.size ? `?${query}` : ""}`;
}

/** Change what is shown, and keep the rest; no step in the browser's history. */
export function change(given) {
  const now = read();
  const hash = of(now.id, { ...now.given, ...given });
  const kept = now.asked && !now.id && hash === "#" ? "#?" : hash;
  if (kept !== location.hash) history.replaceState(null, "", kept);
}

/** What of an address concerns the list. */
export const ofList = (given) => Object.fromEntries(OF_THE_LIST.map((name) => [name, given[name] ?? ""]));
