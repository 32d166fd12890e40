// What the modules share of the page itself.

/** Write a text, and touch nothing where it stands already. */
export function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
