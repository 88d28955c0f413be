// What a person chooses: the model, the system prompt, the temperature. Kept in the page alone.

import { byId } from "./nodes.js";

let hasTemperature = false;

export const chosenModel = () => byId("model").value;

/** The system prompt ("" for none) and the temperature (null to leave it to the model). */
export function choices() {
  return { system: byId("system").value.trim(), temperature: hasTemperature ? Number(byId("temperature").value) : null };
}

export function startSettings() {
  byId("open-settings").addEventListener("click", () => byId("settings").showModal());
  byId("temperature").addEventListener("input", () => setTemperature(true));
  byId("temperature-reset").addEventListener("click", () => {
    byId("temperature").value = 1;
    setTemperature(false);
    byId("temperature").focus();
  });
  byId("tint").addEventListener("change", ({ target }) => {
    byId("log").classList.toggle("tinted", target.checked);
    byId("legend").classList.toggle("tinted", target.checked);
    byId("legend").hidden = !target.checked;
  });
}

function setTemperature(isSet) {
  hasTemperature = isSet;
  byId("temperature-shown").textContent = isSet ? Number(byId("temperature").value).toFixed(1) : "as the model has it";
  byId("temperature-reset").hidden = !isSet;
}

/** Fills the choice of models; the one that is loaded already comes first to hand. */
export function showModels(names, loaded) {
  const field = byId("model");
  const chosen = names.includes(field.value) ? field.value : names.find((name) => loaded.includes(name)) ?? names[0];
  field.replaceChildren(...names.map((name) => new Option(name, name, false, name === chosen)));
  field.disabled = names.length === 0;
  if (names.length === 0) field.append(new Option("no model yet"));
}
