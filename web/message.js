// A message on the page: a question as typed, or an answer with its thinking, its text, what went wrong, what it took.

import { copy, element, iconButton, say, textButton } from "./nodes.js";
import { Sheet } from "./sheet.js";
import { offerWords } from "./words.js";

const ENDINGS = {
  length: "The answer was cut here: it reached the longest length that it may have.",
  content_filter: "The answer was ended by a filter of this house.",
  tool_calls: "The model asked for a tool; this page has none to give.",
};

export function questionNode(text) {
  const node = element("li", "message asked", text);
  node.dir = "auto";
  node.setAttribute("aria-label", `You: ${text}`.slice(0, 200));
  return node;
}

export class AnswerView {
  #answer;
  #body = element("div", "text");
  #thought = element("details", "thought");
  #thoughtLabel = element("summary", "", "Thinking…");
  #thinking;
  #said;

  /** `grown` is told whenever the message may have become taller. */
  constructor(answer, model, grown) {
    this.node = element("li", "message given busy waiting");
    this.node.setAttribute("aria-label", `Answer of ${model}`);
    this.node.setAttribute("aria-busy", "true");
    this.#answer = answer;
    const thinking = element("div", "sheet");
    const said = element("div", "sheet");
    this.#thinking = new Sheet(thinking, answer.thinking, { changed: grown });
    this.#said = new Sheet(said, answer.said, { changed: grown, settled: say });
    this.#thought.append(this.#thoughtLabel, thinking);
    this.#thought.hidden = true;
    this.#thought.addEventListener("toggle", grown);
    this.#body.append(said);
    this.node.append(this.#thought, this.#body);
  }

  /** The answer has more than before. */
  grow() {
    const { thinking, said } = this.#answer;
    if (thinking.text || said.text) this.node.classList.remove("waiting");
    this.#thought.hidden = !thinking.text;
    if (thinking.text && !said.text) this.#thinking.grow();
    if (!said.text) return;
    if (thinking.text && this.#thoughtLabel.textContent !== "What it thought") {
      this.#thoughtLabel.textContent = "What it thought";
      this.#thinking.finish();
    }
    this.#said.grow();
  }

  /** The answer is over: whole, stopped (`ending` "stopped"), or broken (`problem`). */
  finish({ problem = null, ending = this.#answer.finish, again }) {
    this.node.classList.remove("busy", "waiting");
    this.node.removeAttribute("aria-busy");
    if (this.#answer.thinking.text) {
      this.#thoughtLabel.textContent = "What it thought";
      this.#thinking.finish();
      offerWords(this.#thinking.root);
    }
    if (this.#answer.said.text) this.#said.finish();
    offerWords(this.#said.root);
    if (problem) this.node.append(problemNode(problem, again));
    const isEmpty = !this.#answer.said.text && !problem;
    const notice = ending === "stopped" ? "Stopped." : ENDINGS[ending] ?? (isEmpty ? "The model said nothing." : "");
    if (notice) this.node.append(element("p", "notice", notice));
    this.node.append(this.#after(again, problem));
    say(problem ? `It did not work: ${problem.message}` : notice || "The answer is whole.");
  }

  #after(again, problem) {
    const line = element("div", "after");
    const { said } = this.#answer;
    if (said.text) {
      const copyButton = iconButton("copy", "Copy the answer");
      copyButton.addEventListener("click", () => copy(said.text, copyButton));
      const source = iconButton("source", "Show as written");
      source.setAttribute("aria-pressed", "false");
      source.addEventListener("click", () => this.#turn(source));
      line.append(copyButton, source);
    }
    if (!problem) {
      const button = iconButton("again", "Answer again", "again");
      button.addEventListener("click", again);
      line.append(button);
    }
    line.append(element("span", "figures", figuresText(this.#answer.figures)));
    return line;
  }

  #turn(button) {
    const isWritten = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isWritten));
    this.#said.showWritten(isWritten);
    offerWords(this.#said.root);
  }

  /** An answer can be given again only while it is the last. */
  retire() {
    this.node.querySelectorAll(".again").forEach((button) => button.remove());
  }
}

function problemNode(problem, again) {
  const node = element("div", "problem");
  node.setAttribute("role", "alert");
  node.append(element("p", "message-text", problem.message));
  if (problem.hint) node.append(element("p", "", problem.hint));
  node.append(textButton("Try again", "plain again", again));
  return node;
}

function figuresText({ tokens, prompt, firstMs, perSecond }) {
  if (tokens === 0) return "";
  const parts = [`${tokens.toLocaleString()} ${tokens === 1 ? "token" : "tokens"}`];
  if (perSecond !== null) parts.push(`${perSecond.toFixed(perSecond < 10 ? 1 : 0)} a second`);
  if (firstMs !== null) parts.push(`first after ${(firstMs / 1000).toFixed(firstMs < 10_000 ? 2 : 0)} s`);
  if (prompt !== null) parts.push(`${prompt.toLocaleString()} read`);
  return parts.join(" · ");
}
