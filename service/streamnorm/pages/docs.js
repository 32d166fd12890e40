// Swagger UI over our own description of the calls; the server is wherever this page came from.
import { storedKey } from "./common/api.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const dress = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", dress);
dress();

const here = new URL(".", location.href).href;
const spec = await (await fetch("openapi.json")).json();
spec.servers = [{ url: here.replace(/\/$/, "") }];
globalThis.SwaggerUIBundle({
  spec,
  dom_id: "#calls",
  validatorUrl: null, // it would ask a host on the internet
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  requestInterceptor(request) {
    const key = storedKey();
    if (key && request.url.startsWith(here)) request.headers.Authorization ??= `Bearer ${key}`;
    return request;
  },
});
