// Blocks and runs become nodes. Text is only ever set as text: no markup is parsed, nothing is fetched. A link shows
// where it leads; a picture is a link, because fetching it would tell somebody that this answer was read.

import { element, iconButton } from "./nodes.js";
import { textRun } from "./inline.js";
import { sureness } from "./sureness.js";

const INLINE = { emphasis: "em", strong: "strong", strike: "s", code: "code" };

/** The node of a block. */
export function blockNode(block, strand) {
  const node = BLOCKS[block.kind](block, strand);
  if (block.kind !== "code") node.dir = "auto";
  return node;
}

/** The whole text as it was written, markup and all. */
export function writtenNode(strand) {
  const node = element("pre", "written");
  textNodes(node, textRun(strand.text, 0, strand.text.length), strand);
  return node;
}

const BLOCKS = {
  paragraph: (block, strand) => withRuns("p", block.runs, strand),
  // The page has h1 and h2: those of an answer begin below them.
  heading: (block, strand) => withRuns(`h${Math.min(block.level + 2, 6)}`, block.runs, strand),
  rule: () => element("hr"),
  quote: (block, strand) => withBlocks(element("blockquote"), block.blocks, strand),
  list: listNode,
  table: tableNode,
  code: codeNode,
};

function withBlocks(node, blocks, strand) {
  for (const block of blocks) node.append(blockNode(block, strand));
  return node;
}

function withRuns(name, runs, strand) {
  const node = element(name);
  addRuns(node, runs, strand);
  return node;
}

function listNode(block, strand) {
  const node = element(block.isOrdered ? "ol" : "ul", block.isTight ? "tight" : "");
  if (block.isOrdered && block.start !== 1) node.start = block.start;
  for (const item of block.items) {
    const line = element("li", item.isChecked === null ? "" : "task");
    if (item.isChecked !== null) line.append(element("span", "tick", item.isChecked ? "☑" : "☐"));
    // The text of a tight item stands in the item itself, as in a book.
    for (const inner of item.blocks) {
      if (block.isTight && inner.kind === "paragraph") addRuns(line, inner.runs, strand);
      else line.append(blockNode(inner, strand));
    }
    node.append(line);
  }
  return node;
}

function tableNode(block, strand) {
  const row = (cells, name) => {
    const line = element("tr");
    cells.forEach((runs, index) => {
      const cell = withRuns(name, runs, strand);
      if (block.sides[index] !== "start") cell.className = block.sides[index];
      line.append(cell);
    });
    return line;
  };
  const head = element("thead");
  head.append(row(block.head, "th"));
  const body = element("tbody");
  for (const cells of block.rows) body.append(row(cells, "td"));
  const table = element("table");
  table.append(head, body);
  const frame = element("div", "grid");
  frame.tabIndex = 0;
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", "Table");
  frame.append(table);
  return frame;
}

function codeNode(block, strand) {
  const code = element("code");
  block.lines.forEach(({ from, to }, index) => {
    textNodes(code, textRun(strand.text, from, to), strand);
    if (index + 1 < block.lines.length) textNodes(code, { text: "\n", from: to, to: to + 1 }, strand);
  });
  const text = element("pre");
  text.append(code);
  const head = element("figcaption");
  head.append(element("span", "", block.language || "text"), iconButton("copy", "Copy this code", "copy-code"));
  const figure = element("figure", "code");
  figure.append(head, text);
  return figure;
}

function addRuns(node, runs, strand) {
  for (const run of runs) {
    if (run.kind === "text") textNodes(node, run, strand);
    else if (run.kind === "link" || run.kind === "image") addLink(node, run, strand);
    else {
      const inner = withRuns(INLINE[run.kind] ?? "span", run.runs, strand);
      if (run.kind === "formula") inner.className = run.isDisplayed ? "formula displayed" : "formula";
      node.append(inner);
    }
  }
}

function addLink(node, run, strand) {
  const link = element("a");
  link.href = run.address;
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow";
  link.referrerPolicy = "no-referrer";
  link.title = run.address;
  addRuns(link, run.runs, strand);
  const isPicture = run.kind === "image";
  if (isPicture) link.prepend(run.runs.length > 0 ? "picture: " : "picture");
  node.append(link);
  const shown = whereTo(run.address);
  if (!sameAddress(link.textContent, run.address)) node.append(element("span", "where", ` (${shown})`));
}

function sameAddress(text, address) {
  const bare = (value) => value.replace(/^(?:https?:\/\/|mailto:)/, "").replace(/\/$/, "");
  return bare(text.trim()) === bare(address);
}

/** The host and the beginning of the path, as the browser understands them: no user names that look like hosts. */
function whereTo(address) {
  const url = new URL(address);
  const path = url.pathname === "/" && !url.search ? "" : url.pathname;
  const whole = url.protocol === "mailto:" ? url.pathname : `${url.host}${path}${url.search}`;
  return whole.length > 48 ? `${whole.slice(0, 47)}…` : whole;
}

/** A run as nodes: spans for what tokens wrote, text between them. White space before a word stays outside. */
function textNodes(node, run, strand) {
  const isAtom = run.text.length !== run.to - run.from;
  const pieces = strand.pieces(run.from, run.to);
  if (isAtom) {
    node.append(wordNode(run.text, pieces[0]?.word ?? -1, strand));
    return;
  }
  for (const { from, to, word } of pieces) {
    const text = run.text.slice(from - run.from, to - run.from);
    const lead = text.length - text.trimStart().length;
    // The space of a word whose letters stand elsewhere (behind a sign of Markdown) is not the word.
    const isEdge = word >= 0 && lead > 0 && (lead < text.length || strand.textOf(word).trim() !== "");
    if (isEdge) node.append(text.slice(0, lead));
    if (!isEdge || lead < text.length) node.append(wordNode(isEdge ? text.slice(lead) : text, word, strand));
  }
}

function wordNode(text, word, strand) {
  if (word < 0) return document.createTextNode(text);
  const node = element("span", `word ${sureness(strand.words[word])}`, text);
  node.dataset.word = word;
  return node;
}
