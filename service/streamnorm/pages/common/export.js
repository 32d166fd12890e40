// Files made in the page.

/** Save text, or a blob, as a file. */
export function save(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** The readings between two indices as CSV (RFC 4180): raw and normalized values side by side. */
export function csv({ counts, times, columns }, first, last) {
  const names = [...columns.keys()];
  const rows = [["time", "count", ...names.flatMap((name) => [name, `${name}.normalized`])].map(cell)];
  for (let at = first; at <= last; at += 1) {
    const values = names.flatMap((name) => [columns.get(name).raw[at], columns.get(name).normalized[at]]);
    rows.push([new Date(times[at] * 1000).toISOString(), counts[at], ...values.map((x) => x ?? "")]);
  }
  return rows.map((row) => `${row.join(",")}\r\n`).join("");
}
