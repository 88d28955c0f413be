// The key of a person: asked for in a small form, kept for this tab alone (sessionStorage), sent only as a header.

import { byId } from "./nodes.js";

const PLACE = "hearth-key";
let key = stored();
let asking = null;

export const currentKey = () => key;

function stored() {
  try {
    return sessionStorage.getItem(PLACE) ?? "";
  } catch {
    return "";
  }
}

function keep(value) {
  key = value;
  try {
    sessionStorage.setItem(PLACE, value);
  } catch {
    // Kept in memory then, until the page is left.
  }
}

/** Asks for a key because `refused` was not enough; true when there is another one to try. Asks once for many. */
export function askForKey(error, refused) {
  if (key !== refused) return Promise.resolve(true);
  asking ??= ask(refused ? `This key was not accepted. ${error.message}` : error.message).finally(() => (asking = null));
  return asking;
}

function ask(message) {
  const dialog = byId("key");
  const field = byId("key-field");
  byId("key-message").textContent = message;
  field.value = "";
  dialog.showModal();
  field.focus();
  return new Promise((resolve) => {
    const end = new AbortController();
    const { signal } = end;
    const done = (isGiven) => {
      end.abort();
      dialog.close();
      field.value = "";
      resolve(isGiven);
    };
    byId("key-form").addEventListener("submit", (event) => {
      event.preventDefault();
      keep(field.value.trim());
      done(true);
    }, { signal });
    byId("key-cancel").addEventListener("click", () => done(false), { signal });
    dialog.addEventListener("close", () => done(false), { signal });
  });
}
