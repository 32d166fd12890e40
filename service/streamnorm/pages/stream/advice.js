// What somebody who knows sensors would do about a stream, as rules: asked for whenever the panel is opened.
import { get, streamPath } from "../shared/api.js";

export function adviseIn(panel, id) {
  const text = panel.querySelector("pre");
  panel.addEventListener("toggle", async () => {
    if (!panel.open) return;
    try {
      text.textContent = (await get(streamPath(id, "/advice"))).toml || "Nothing to suggest.";
    } catch (problem) {
      text.textContent = problem.message;
    }
  });
}
