// Asks for the key where the service wants one, and tells a wrong one.
import { get, storeKey, storedKey } from "./api.js";

export class Keys {
  #dialog = document.getElementById("key-dialog");
  #input = document.getElementById("key-input");
  #error = document.getElementById("key-error");
  #button = document.getElementById("key-button");
  #forget = document.getElementById("key-forget");
  #cancel = document.getElementById("key-cancel");

  /** `onKey()` is called when there is another key, or none. */
  constructor(onKey) {
    this.onKey = onKey;
    document.getElementById("key-form").addEventListener("submit", (event) => this.#entered(event));
    this.#button.addEventListener("click", () => this.ask("", true));
    this.#cancel.addEventListener("click", () => this.#dialog.close());
    this.#forget.addEventListener("click", () => {
      storeKey(null);
      this.#dialog.close();
      this.#settled();
    });
    this.#dialog.addEventListener("cancel", (event) => {
      if (this.#cancel.hidden) event.preventDefault(); // nothing can be shown without a key
    });
    this.#button.hidden = !storedKey();
  }

  /** Show the dialog; `why` tells what was wrong with the last key. */
  ask(why, willing = false) {
    this.#error.textContent = why;
    this.#cancel.hidden = !willing;
    this.#forget.hidden = !willing || !storedKey();
    if (this.#dialog.open) return;
    this.#input.value = "";
    this.#dialog.showModal();
    this.#input.focus();
  }

  async #entered(event) {
    event.preventDefault();
    const key = this.#input.value.trim();
    this.#error.textContent = "";
    try {
      await get("v1/streams?limit=1", { key });
    } catch (problem) {
      if (problem.status === 401) this.#error.textContent = "This key is not accepted.";
      else if (problem.status === 403) this.#error.textContent = "This key may not read: the page needs one with the scope “read”.";
      else this.#error.textContent = `The service cannot be asked now: ${problem.message}`;
      this.#input.select();
      return;
    }
    storeKey(key);
    this.#dialog.close();
    this.#settled();
  }

  #settled() {
    this.#button.hidden = !storedKey();
    this.onKey();
  }
}
