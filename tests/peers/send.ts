// What a program does with the types of openapi-typescript: configure a stream, and send a reading.
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

const client = createClient<paths>({ baseUrl: process.argv[2] });
const path = { stream_id: "typescript" };

const configured = await client.PUT("/v1/streams/{stream_id}", {
  params: { path },
  body: { method: "online", horizon: 50 },
});
if (configured.error) throw new Error(configured.error.detail ?? "");

const sent = await client.POST("/v1/streams/{stream_id}/readings", {
  params: { path, query: { stats: true } },
  body: { values: { temp: 21.4, door: 0 }, seq: 1 },
});
if (!sent.data || !("count" in sent.data)) throw new Error(sent.error?.detail ?? "");
console.log(JSON.stringify({ count: sent.data.count, values: sent.data.values }));

const refused = await client.POST("/v1/streams/{stream_id}/readings", {
  params: { path },
  body: { values: {} },
});
console.log(JSON.stringify({ status: refused.error?.status }));
