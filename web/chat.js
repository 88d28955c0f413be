// The conversation, in memory alone, and the one answer that is being given: sends, stops, answers again, begins anew.

import { Answer } from "./answer.js";
import { AnswerView, questionNode } from "./message.js";
import { byId, say } from "./nodes.js";
import { Follower } from "./scroll.js";
import { chat } from "./server.js";
import { chosenModel, choices } from "./settings.js";
import { closeCard } from "./words.js";

const ALTERNATIVES = 5;

/** [{role, content}] of this chat, without the system prompt. */
let messages = [];
let running = null;
let lastView = null;
let follower;

export function startChat() {
  follower = new Follower(byId("talk"), byId("to-end"));
  const prompt = byId("prompt");
  prompt.addEventListener("input", fit);
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    byId("ask").requestSubmit();
  });
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    send(prompt.value);
  });
  byId("stop").addEventListener("click", () => running?.abort());
  byId("new").addEventListener("click", beginAnew);
  byId("ideas").addEventListener("click", ({ target }) => {
    const idea = target.closest("button");
    if (idea) send(idea.textContent);
  });
}

/** The field is as tall as what stands in it. */
function fit() {
  const prompt = byId("prompt");
  prompt.style.height = "auto";
  prompt.style.height = `${prompt.scrollHeight}px`;
}

function beginAnew() {
  running?.abort();
  running = null;
  closeCard();
  messages = [];
  lastView = null;
  byId("log").replaceChildren();
  byId("welcome").hidden = false;
  showBusy(false);
  byId("prompt").focus();
  say("A new chat.");
}

function send(text) {
  if (running || !text.trim()) return;
  byId("prompt").value = "";
  fit();
  byId("welcome").hidden = true;
  messages.push({ role: "user", content: text });
  byId("log").append(questionNode(text));
  follower.toEnd();
  giveAnswer();
}

/** Takes the last answer back, if there is one, and asks for another. */
function again(view) {
  if (running || view !== lastView) return;
  closeCard();
  if (messages.at(-1)?.role === "assistant") messages.pop();
  view.node.remove();
  lastView = null;
  byId("prompt").focus();
  giveAnswer();
}

async function giveAnswer() {
  const here = new AbortController();
  running = here;
  const model = chosenModel();
  const answer = new Answer(performance.now());
  const view = new AnswerView(answer, model, () => follower.grown());
  lastView?.retire();
  lastView = view;
  byId("log").append(view.node);
  showBusy(true);
  say("Answering.");
  follower.grown();
  const outcome = await take(answer, view, model, here.signal);
  const isForgotten = running !== here;
  if (isForgotten) return;
  running = null;
  if (answer.said.text) messages.push({ role: "assistant", content: answer.said.text });
  view.finish({ ...outcome, again: () => again(view) });
  showBusy(false);
  follower.grown();
}

/** Draws what comes until it ends; says how it ended. */
async function take(answer, view, model, signal) {
  const { system, temperature } = choices();
  const body = {
    model, messages: [...(system ? [{ role: "system", content: system }] : []), ...messages],
    stream: true, stream_options: { include_usage: true }, logprobs: true, top_logprobs: ALTERNATIVES,
    ...(temperature === null ? {} : { temperature }),
  };
  try {
    for await (const chunk of chat(body, signal)) {
      answer.take(chunk, performance.now());
      view.grow();
    }
    return {};
  } catch (problem) {
    return problem.name === "AbortError" ? { ending: "stopped" } : { problem };
  }
}

function showBusy(isBusy) {
  const hadFocus = document.activeElement === byId("stop");
  byId("send").hidden = isBusy;
  byId("stop").hidden = !isBusy;
  if (hadFocus) byId("prompt").focus();
}
