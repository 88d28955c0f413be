// Making nodes: an element with a class and a text, an icon, a button, a line that can be copied. Text goes in as text.

const VECTOR = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

export function element(name, className = "", text = "") {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

/** One of the symbols of index.html. */
export function icon(name) {
  const picture = document.createElementNS(VECTOR, "svg");
  picture.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(VECTOR, "use");
  use.setAttribute("href", `#icon-${name}`);
  picture.append(use);
  return picture;
}

export function iconButton(name, label, className = "") {
  const button = element("button", `quiet bare ${className}`);
  button.type = "button";
  button.setAttribute("aria-label", label);
  button.title = label;
  button.append(icon(name));
  return button;
}

export function textButton(label, className, act) {
  const button = element("button", className, label);
  button.type = "button";
  button.addEventListener("click", act);
  return button;
}

/** Copies a text and shows on the button whether it is done; without TLS only this machine's own browsers let it. */
export async function copy(text, button) {
  const isDone = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  const use = button.querySelector("use");
  use.setAttribute("href", isDone ? "#icon-done" : "#icon-close");
  say(isDone ? "Copied." : "The browser did not let the page copy.");
  setTimeout(() => use.setAttribute("href", "#icon-copy"), 1600);
}

/** Says something to people who listen to the page. */
export function say(text) {
  byId("status").textContent = text;
}
