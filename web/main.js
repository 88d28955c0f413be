// Where the page begins: joins the parts, asks which models are here, greets.

import { startChat } from "./chat.js";
import { startHouse } from "./house.js";
import { byId, copy, element } from "./nodes.js";
import { get } from "./server.js";
import { showModels, startSettings } from "./settings.js";
import { watchWords } from "./words.js";

startSettings();
startHouse();
startChat();
watchWords(byId("column"));
byId("log").addEventListener("click", ({ target }) => {
  const button = target.closest(".copy-code");
  if (button) copy(button.closest("figure").querySelector("code").textContent, button);
});
for (const drawer of document.querySelectorAll(".drawer")) {
  drawer.querySelector(".close").addEventListener("click", () => drawer.close());
  // A click beside the drawer lands on the dialog itself, outside its box.
  drawer.addEventListener("click", ({ target, clientX }) => {
    if (target === drawer && clientX < drawer.getBoundingClientRect().left) drawer.close();
  });
}
greet();
lookForModels();

function greet() {
  const hour = new Date().getHours();
  const part = hour < 5 ? "Still awake?" : hour < 12 ? "Good morning." : hour < 18 ? "Good afternoon." : "Good evening.";
  byId("greeting").textContent = `${part}\nWhat is on your mind?`;
  if (matchMedia("(hover: hover)").matches) byId("prompt").focus();
}

async function lookForModels() {
  try {
    const [list, house] = await Promise.all([get("/v1/models"), get("/page/house.json").catch(() => ({ models: [] }))]);
    showModels(list.data.map(({ id }) => id), house.models.filter((model) => model.is_loaded).map(({ name }) => name));
  } catch (problem) {
    showModels([], []);
    const node = element("div", "problem");
    node.setAttribute("role", "alert");
    node.append(element("p", "message-text", problem.message), element("p", "", problem.hint ?? ""));
    byId("welcome").append(node);
  }
}
