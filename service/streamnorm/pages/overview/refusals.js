// What the service refused since it began, by reason, from its metrics.
const SAMPLE = /^streamnorm_(refusals|mqtt_refused)_total\{([^}]*)\} (\S+)$/gm;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Reasons in words with how often they were met, the most frequent first; `metrics` is the text for Prometheus. */
export function refusals(metrics) {
  const found = [];
  for (const [, family, labels, value] of metrics.matchAll(SAMPLE)) {
    const named = Object.fromEntries([...labels.matchAll(LABEL)].map(([, name, text]) => [name, text]));
    const reason = named.reason.replaceAll("-", " ");
    if (Number(value)) found.push({ reason: family === "refusals" ? reason : `MQTT, ${named.filter}: ${reason}`, n: Number(value) });
  }
  return found.sort((a, b) => b.n - a.n);
}
