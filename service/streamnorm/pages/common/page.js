// What the modules share of the page itself.

/** Write a text, and touch nothing where it stands already. */
export function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Build an element of its parts: other elements, and texts, which are never markup. */
export function line(tag, ...parts) {
  const element = document.createElement(tag);
  element.append(...parts);
  return element;
}
