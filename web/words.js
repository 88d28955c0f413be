// A word opened: what else could have stood there, with probabilities as bars, and how surprising the choice was.
// By keyboard, Tab goes to an answer's words as one thing, arrows from word to word; Enter opens, Escape closes.

import { byId, element, iconButton } from "./nodes.js";
import { strandOf } from "./sheet.js";
import { percent, probability, surprise, visible } from "./sureness.js";

const GAP = 8;
let column;
let open = null;

export function watchWords(root) {
  column = root;
  root.addEventListener("click", (event) => {
    const word = event.target.closest(".word");
    const isSelecting = String(getSelection()).length > 0;
    if (word && !event.target.closest("a") && !isSelecting) openCard(word);
  });
  root.addEventListener("keydown", byKey);
  root.addEventListener("focusin", ({ target }) => {
    if (target.matches?.(".word")) keepStop(target);
  });
  document.addEventListener("pointerdown", ({ target }) => {
    if (open && !open.card.contains(target) && !target.closest?.(".word")) closeCard();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && open) closeCard(true);
  });
  addEventListener("resize", () => closeCard());
}

/** Makes the first word of a sheet the one that Tab reaches. */
export function offerWords(sheet) {
  if (!sheet.querySelector('.word[tabindex="0"]')) makeStop(sheet.querySelector(".word"));
}

function makeStop(word) {
  if (!word) return;
  word.tabIndex = 0;
  word.setAttribute("role", "button");
  word.setAttribute("aria-haspopup", "dialog");
  word.setAttribute("aria-describedby", "keys-of-words");
}

/** One stop for Tab in each sheet: the word where the reader was last. */
function keepStop(word) {
  for (const other of word.closest(".sheet").querySelectorAll('.word[tabindex="0"]')) {
    if (other !== word) for (const name of ["tabindex", "role", "aria-haspopup", "aria-describedby"]) other.removeAttribute(name);
  }
  makeStop(word);
}

function byKey(event) {
  const word = event.target.closest?.(".word");
  if (!word || event.altKey || event.ctrlKey || event.metaKey) return;
  const acts = { Enter: () => openCard(word, true), " ": () => openCard(word, true) };
  const goals = { ArrowRight: () => beside(word, 1), ArrowLeft: () => beside(word, -1) };
  const goal = goals[event.key]?.();
  if (!acts[event.key] && !goal) return;
  event.preventDefault();
  acts[event.key]?.();
  if (goal) focusWord(goal);
}

function focusWord(word) {
  keepStop(word);
  word.focus();
}

const wordsOf = (word) => [...word.closest(".sheet").querySelectorAll(".word")];

/** The next word that other tokens wrote. */
function beside(word, step) {
  const list = wordsOf(word);
  let at = list.indexOf(word) + step;
  while (list[at] && list[at].dataset.word === word.dataset.word) at += step;
  return list[at];
}

function openCard(node, isByKey = false) {
  const sheet = node.closest(".sheet");
  const word = strandOf(sheet)?.words[node.dataset.word];
  if (!word) return;
  closeCard();
  keepStop(node);
  const card = element("section", "card");
  card.tabIndex = -1;
  card.setAttribute("role", "dialog");
  card.setAttribute("aria-label", "What else could have stood here");
  card.append(head(node, word, isByKey), ...word.tokens.flatMap((token, index) => [...(index > 0 ? [element("hr")] : []), ...about(token)]));
  card.append(element("p", "more", explain(word)));
  node.classList.add("is-open");
  open = { card, sheet, index: node.dataset.word };
  column.append(card);
  place(card, node);
  if (isByKey) card.focus({ preventScroll: true });
  card.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) walk(step, true);
  });
}

function head(node, word, isByKey) {
  const back = iconButton("back", "Word before");
  const next = iconButton("next", "Next word");
  const close = iconButton("close", "Close");
  for (const [button, step] of [[back, -1], [next, 1]]) {
    button.disabled = !beside(node, step);
    button.addEventListener("click", () => walk(step, isByKey));
  }
  close.addEventListener("click", () => closeCard(true));
  const line = element("header");
  const shown = word.tokens.length === 1 ? visible(word.tokens[0]) : node.textContent;
  line.append(element("h3", "", shown), back, next, close);
  return line;
}

/** The word whose card is open; while an answer grows, its node is made anew. */
const openWord = () => open.sheet.querySelector(`[data-word="${open.index}"]`);

function walk(step, isByKey) {
  const here = openWord();
  const goal = here && beside(here, step);
  if (!goal) return;
  goal.scrollIntoView({ block: "nearest" });
  openCard(goal, true);
  if (!isByKey) open.card.querySelector(`button:nth-of-type(${step < 0 ? 1 : 2})`)?.focus({ preventScroll: true });
}

/** What is known of one token: its share, its surprise, and the others. */
function about(token) {
  const rows = (token.top_logprobs ?? []).map((other) => ({ ...other, isChosen: isSame(other, token) }));
  if (!rows.some(({ isChosen }) => isChosen)) rows.push({ ...token, isChosen: true });
  rows.sort((a, b) => b.logprob - a.logprob);
  const lead = element("p", "lead");
  const bits = surprise(token);
  lead.append("chosen with ", element("b", "", percent(probability(token))), " · surprise ", element("b", "", `${bits.toFixed(bits < 1 ? 2 : 1)} bits`));
  const list = element("ol");
  list.setAttribute("aria-label", "What could have stood here");
  for (const row of rows) list.append(rowNode(visible(row), probability(row), row.isChosen ? "chosen" : ""));
  const rest = 1 - rows.reduce((sum, row) => sum + probability(row), 0);
  if (rest > 0.0005) list.append(rowNode("everything else", rest, "rest"));
  return [lead, list];
}

function isSame(one, other) {
  return one.bytes && other.bytes ? String(one.bytes) === String(other.bytes) && one.token === other.token : one.token === other.token;
}

function rowNode(text, share, kind) {
  const row = element("li", kind);
  const label = element("span", "text", text);
  if (kind === "chosen") label.append(element("span", "unseen", " (chosen)"));
  const gauge = element("span", "gauge");
  gauge.setAttribute("aria-hidden", "true");
  const bar = element("span");
  bar.style.setProperty("--share", `${(share * 100).toFixed(2)}%`);
  gauge.append(bar);
  row.append(label, element("span", "share", percent(share)), gauge);
  return row;
}

function explain(word) {
  if (word.tokens.length > 1) return `This sign took ${word.tokens.length} tokens, each a part of its bytes.`;
  return "␣ is a space. 0 bits of surprise: nothing else was possible; 10 bits: one chance in a thousand.";
}

/** Below the word where there is room, else above it; never over the edge. */
function place(card, node) {
  const box = node.getClientRects()[0] ?? node.getBoundingClientRect();
  const frame = column.getBoundingClientRect();
  const view = byId("talk").getBoundingClientRect();
  const height = card.offsetHeight;
  const fitsBelow = box.bottom + GAP + height <= view.bottom;
  const fitsAbove = box.top - GAP - height >= view.top;
  const y = fitsBelow || !fitsAbove ? box.bottom + GAP : box.top - GAP - height;
  const x = Math.max(GAP, Math.min(box.left - frame.left - 2 * GAP, frame.width - card.offsetWidth - GAP));
  card.style.setProperty("--x", `${x}px`);
  card.style.setProperty("--y", `${y - frame.top}px`);
  if (getComputedStyle(card).position === "absolute" && !fitsBelow && !fitsAbove) card.scrollIntoView({ block: "nearest" });
}

export function closeCard(isBackToWord = false) {
  if (!open) return;
  const word = openWord();
  open.card.remove();
  open = null;
  word?.classList.remove("is-open");
  if (isBackToWord && word) focusWord(word);
}
