// Calls of the service, with the key where there is one. Addresses are relative, so that a proxy may add a path.
const STORED = "streamnorm-key";

export const storedKey = () => sessionStorage.getItem(STORED);
export const storeKey = (key) => (key ? sessionStorage.setItem(STORED, key) : sessionStorage.removeItem(STORED));

/** What the service answered instead of doing it (RFC 9457). */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail ?? body?.title ?? `the service answered ${status}`);
    this.status = status;
    this.slug = body?.type?.split("/").pop();
    this.retryable = status >= 500 || status === 429;
  }
}

const headers = (more, key = storedKey()) => (key ? { ...more, Authorization: `Bearer ${key}` } : { ...more });

export const streamPath = (id, rest = "") => `v1/streams/${encodeURIComponent(id)}${rest}`;

/** Send a request and give the response; anything but success is a Problem. */
export async function send(path, { key, headers: more, ...options } = {}) {
  const response = await fetch(path, { cache: "no-store", ...options, headers: headers(more, key) });
  if (response.ok) return response;
  throw new Problem(response.status, await response.json().catch(() => null));
}

export const get = async (path, options) => (await send(path, options)).json();

export async function put(method, path, body) {
  const options = { method };
  if (body !== undefined) Object.assign(options, { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
  return (await send(path, options)).json();
}
