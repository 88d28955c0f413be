// This house: which models are here, at which addresses the machine answers, and ready lines for other programs.
// Asked for anew each time that the drawer opens.

import { byId, copy, element, iconButton } from "./nodes.js";
import { get } from "./server.js";
import { chosenModel } from "./settings.js";

export function startHouse() {
  byId("open-house").addEventListener("click", () => {
    byId("house").showModal();
    show();
  });
}

async function show() {
  const body = byId("house-body");
  if (body.childElementCount === 0) body.append(element("p", "hint", "Looking…"));
  try {
    const [house, running] = await Promise.all([get("/page/house.json"), get("/api/ps").catch(() => ({ models: [] }))]);
    body.replaceChildren(...models(house, running), ...facts(house), ...connections(house));
  } catch (problem) {
    const node = element("div", "problem");
    node.append(element("p", "message-text", problem.message), element("p", "", problem.hint ?? ""));
    body.replaceChildren(node);
  }
}

function models(house, running) {
  const list = element("ul", "things");
  const states = new Map((running.models ?? []).map((model) => [model.name, model]));
  for (const model of house.models) {
    const line = element("li", model.is_loaded ? "is-loaded" : "");
    line.append(element("span", "name", model.name), element("span", "size", size(model.size_bytes)));
    line.append(element("span", "state", model.is_loaded ? loadedText(states.get(model.name)) : "on disk; loads when it is asked"));
    list.append(line);
  }
  if (house.models.length === 0) list.append(element("li", "", "No model is here yet: hearth pull NAME fetches one."));
  return [element("h3", "", "What runs here"), list];
}

function loadedText(state) {
  const parts = ["loaded"];
  if (state?.details?.parameter_size) parts.push(`${state.details.parameter_size} parameters`);
  if (state?.details?.quantization_level) parts.push(state.details.quantization_level);
  if (state?.context_length) parts.push(`${state.context_length.toLocaleString()} tokens of context`);
  const until = new Date(state?.expires_at ?? NaN);
  const isSoon = until - Date.now() < 86_400_000;
  if (isSoon) parts.push(`until ${until.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`);
  return parts.join(" · ");
}

/** Bytes as people read them, in powers of a thousand. */
function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = bytes > 0 ? Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1) : 0;
  const value = bytes / 1000 ** step;
  return `${value.toFixed(value < 10 && step > 0 ? 1 : 0)} ${units[step]}`;
}

function facts(house) {
  const list = element("dl", "facts");
  const add = (name, value) => list.append(element("dt", "", name), value instanceof Node ? value : element("dd", "", value));
  add("Hearth", house.version);
  add("Address", [house.address, ...house.addresses.filter((other) => other !== house.address)].join("\n"));
  list.lastChild.classList.add("lines");
  add("On the way", house.tls ? "sealed (TLS)" : "not sealed");
  add("Keys", house.keys ? "every program needs one" : "none needed from this machine");
  if (house.certificate) {
    const link = element("a", "", "certificate of this house");
    link.href = house.certificate;
    link.download = "";
    const line = element("dd");
    line.append(link, ": trust it once on each device");
    add("Trust", line);
  }
  return [element("h3", "", "This machine"), list];
}

function connections(house) {
  const note = element("p", "hint", "Any program that speaks to OpenAI or Ollama speaks to this machine. Point it here:");
  const nodes = [element("h3", "", "Connect a program"), note];
  for (const [name, language, lines] of recipes(house)) nodes.push(recipeNode(name, language, lines));
  return nodes;
}

function recipes({ keys, models: list }) {
  const model = chosenModel() || list[0]?.name || "starter";
  // The address that this browser came by is one that works from this device.
  const base = location.origin;
  const key = keys ? "YOUR-KEY" : "none";
  const question = { model, messages: [{ role: "user", content: "Who are you?" }] };
  return [
    ["Python, openai", "python", `from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(`${base}/v1`)}, api_key=${JSON.stringify(key)})
answer = client.chat.completions.create(
    model=${JSON.stringify(model)},
    messages=[{"role": "user", "content": "Who are you?"}])
print(answer.choices[0].message.content)`],
    ["curl", "sh", `curl ${base}/v1/chat/completions \\
  -H 'Content-Type: application/json' \\${keys ? `\n  -H 'Authorization: Bearer ${key}' \\` : ""}
  -d ${shellQuoted(JSON.stringify(question))}`],
    ["Programs for Ollama", "sh", `export OLLAMA_HOST=${shellQuoted(base)}${keys ? `\nexport OLLAMA_API_KEY=${key}` : ""}
ollama run ${shellQuoted(model)}`],
    ["Other programs", "sh", `export OPENAI_BASE_URL=${shellQuoted(`${base}/v1`)}
export OPENAI_API_KEY=${key}`],
  ];
}

function shellQuoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function recipeNode(name, language, lines) {
  const button = iconButton("copy", `Copy: ${name}`);
  button.addEventListener("click", () => copy(lines, button));
  const head = element("figcaption");
  head.append(element("span", "", name), button);
  const text = element("pre");
  text.tabIndex = 0;
  text.append(element("code", language, lines));
  const figure = element("figure", "code");
  figure.append(head, text);
  return figure;
}
