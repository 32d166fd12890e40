// What kinds of sensors there are, which of them need attention, and when a stream has fallen silent.
const KINDS = {
  stuck: "It used to vary and has repeated one value for long: the sensor may be broken.",
  invalid: "It sends nothing but missing values.",
  constant: "It has never changed; a constant normalizes to exactly 0.",
  drifting: "Its level keeps moving; it is measured against its recent past.",
};
/** The gravest first. */
export const gravity = Object.keys(KINDS);
export const attention = (kind) => kind in KINDS;
export const why = (kind) => KINDS[kind] ?? "";

const SILENT = 600; // seconds
const PAUSES = 5; // usual pauses; a sensor that sends once an hour is not silent after ten minutes

/** Whether a stream has been silent for long, by when it was heard `last`; times in seconds since 1970. */
export function silent({ count, created }, last, now) {
  if (last === null || last === undefined || now - last < SILENT) return false;
  const usual = count > 1 ? (last - Date.parse(created) / 1000) / (count - 1) : 0;
  return now - last > PAUSES * usual;
}

/** How many features of each kind, of a profile's features. */
export function counted(features) {
  const kinds = {};
  for (const { kind } of Object.values(features)) kinds[kind] = (kinds[kind] ?? 0) + 1;
  return kinds;
}

/** A word on a stream of the list, and the kind whose colour it has. */
export function healthOf(row, now) {
  for (const kind of gravity.slice(0, 2)) if (row.kinds?.[kind]) return [`${row.kinds[kind]} ${kind}`, kind];
  if (silent(row.info, row.last, now)) return ["silent", "silent"];
  for (const kind of gravity.slice(2)) if (row.kinds?.[kind]) return [`${row.kinds[kind]} ${kind}`, kind];
  if (row.ready === false || row.kinds?.warming) return ["warming up", "warming"];
  return row.ready || row.kinds ? ["ready", "ready"] : ["", ""];
}
