// Markdown: the text of an answer becomes a list of blocks, as data; `render.js` makes nodes of it. A block is final once
// the first line of the next one is whole, so that a stream is drawn without drawing again what stands.
// Not here: indented code and underlined headings, which models do not write. Source: CommonMark 0.31 chapters 4, 5; GFM tables.

import { spans } from "./inline.js";

const DEEPEST = 16;

/** The blocks of `source` from `from` on. */
export function blocks(source, from = 0) {
  return read(source, splitLines(source, from), 0);
}

/** How many of these blocks no further text can change. */
export function finalBlocks(source, list) {
  let count = 0;
  while (count + 1 < list.length && list[count + 1].firstLineEnd < source.length) count += 1;
  return count;
}

function splitLines(source, from) {
  const lines = [];
  for (let at = from; at < source.length; ) {
    const found = source.indexOf("\n", at);
    const end = found < 0 ? source.length : found;
    lines.push(line(source, at, source[end - 1] === "\r" && end > at ? end - 1 : end));
    at = end + 1;
  }
  return lines;
}

/** A line from `from` on: its indentation in columns, and where its text begins. */
function line(source, from, to) {
  let at = from;
  let indent = 0;
  for (; at < to && (source[at] === " " || source[at] === "\t"); at += 1) indent += source[at] === "\t" ? 4 - (indent % 4) : 1;
  return { from, to, at, indent, isBlank: at >= to };
}

/** The same line without its first `columns` columns of white space. */
function strip(source, { from, to, at: text }, columns) {
  let at = from;
  for (let done = 0; at < text && done < columns; at += 1) done += source[at] === "\t" ? 4 - (done % 4) : 1;
  return line(source, at, to);
}

function read(source, lines, depth) {
  const list = [];
  let at = 0;
  while (at < lines.length) {
    if (lines[at].isBlank) {
      at += 1;
      continue;
    }
    const start = startOf(source, lines, at, depth);
    const { block, next } = (start ? READERS[start.kind] : readParagraph)(source, lines, at, depth, start);
    list.push({ ...block, from: lines[at].from, to: lines[next - 1].to, firstLineEnd: lines[at].to });
    at = next;
  }
  return list;
}

/** What begins at this line, or null where it is a line of a paragraph. */
function startOf(source, lines, at, depth) {
  const here = lines[at];
  const sign = source[here.at];
  const text = source.slice(here.at, here.to);
  if (sign === "#") return /^#{1,6}(?:\s|$)/.test(text) ? { kind: "heading" } : null;
  if (sign === "`" || sign === "~") return fenceOf(text);
  if (sign === ">") return depth < DEEPEST ? { kind: "quote" } : null;
  if (isRule(text)) return { kind: "rule" };
  const mark = depth < DEEPEST ? markOf(here, text) : null;
  if (mark) return mark;
  return tableAt(source, lines, at);
}

function isRule(text) {
  if (!/^[-*_]/.test(text)) return false;
  const packed = text.replace(/[ \t]+/g, "");
  return packed.length >= 3 && [...packed].every((sign) => sign === packed[0]);
}

function fenceOf(text) {
  const found = /^(`{3,}|~{3,})(.*)$/.exec(text);
  if (!found || (found[1][0] === "`" && found[2].includes("`"))) return null;
  return { kind: "code", sign: found[1][0], count: found[1].length, language: found[2].trim().split(/\s/)[0] };
}

function closesFence(text, fence) {
  const found = /^(`{3,}|~{3,})\s*$/.exec(text);
  return Boolean(found) && found[1][0] === fence.sign && found[1].length >= fence.count;
}

/** A list marker: its family (what may follow it in one list), its number, where its text begins. */
function markOf(here, text) {
  const found = /^([-+*]|(\d{1,9})([.)]))(?:([ \t]+)|$)/.exec(text);
  if (!found) return null;
  const gap = found[4] ?? "";
  const isEmpty = found[0].length === text.length;
  const taken = isEmpty || gap.length > 4 ? 1 : gap.length;
  const width = here.indent + found[1].length + taken;
  const content = Math.min(here.at + found[1].length + taken, here.to);
  return { kind: "list", family: found[3] ?? found[1], number: found[2] && Number(found[2]), width, content, isEmpty };
}

function readHeading(source, lines, at) {
  const { at: from, to } = lines[at];
  const [, signs, gap] = /^(#+)([ \t]*)/.exec(source.slice(from, to));
  const start = from + signs.length + gap.length;
  const text = source.slice(start, to).trimEnd();
  const end = start + text.replace(/(^|[ \t])#+$/, "").trimEnd().length;
  return { block: { kind: "heading", level: signs.length, runs: spans(source, [{ from: start, to: end }]) }, next: at + 1 };
}

function readRule(_source, _lines, at) {
  return { block: { kind: "rule" }, next: at + 1 };
}

function readCode(source, lines, at, _depth, fence) {
  const { indent } = lines[at];
  const content = [];
  let next = at + 1;
  let isClosed = false;
  for (; next < lines.length && !isClosed; next += 1) {
    const here = lines[next];
    isClosed = closesFence(source.slice(here.at, here.to), fence);
    if (isClosed) continue;
    const { from, to } = strip(source, here, indent);
    content.push({ from, to });
  }
  return { block: { kind: "code", language: fence.language, lines: content, isClosed }, next };
}

/** Whether a fence is open after this line. */
function fenceAfter(source, here, fence) {
  const text = source.slice(here.at, here.to);
  if (fence) return closesFence(text, fence) ? null : fence;
  return fenceOf(text);
}

/** Whether a line that lacks its prefix still belongs to the paragraph above it. */
function continues(source, above, lines, at) {
  if (above.isBlank || startOf(source, lines, at, 0)) return false;
  return startOf(source, [above], 0, 0) === null && source[above.at] !== "|";
}

function readQuote(source, lines, at, depth) {
  const inner = [];
  let fence = null;
  let next = at;
  for (; next < lines.length; next += 1) {
    const here = lines[next];
    const isQuoted = source[here.at] === ">" && !here.isBlank;
    if (!isQuoted && (here.isBlank || fence || !continues(source, inner.at(-1), lines, next))) break;
    const skip = isQuoted ? here.at + (/[ \t]/.test(source[here.at + 1] ?? "") ? 2 : 1) : here.from;
    inner.push(line(source, Math.min(skip, here.to), here.to));
    fence = fenceAfter(source, inner.at(-1), fence);
  }
  return { block: { kind: "quote", blocks: read(source, inner, depth + 1) }, next };
}

function readList(source, lines, at, depth, first) {
  const list = { kind: "list", isOrdered: first.number !== undefined, start: first.number, isTight: true, items: [] };
  let next = at;
  for (let mark = first; mark; ) {
    const item = readItem(source, lines, next, mark);
    const inside = read(source, item.lines, depth + 1);
    const isLast = !(mark = item.next < lines.length ? sibling(source, lines[item.next], first) : null);
    if ((item.blanks > 0 && !isLast) || hasGap(source, inside)) list.isTight = false;
    list.items.push({ ...takeBox(inside), from: lines[next].from });
    next = isLast ? item.next - item.blanks : item.next;
  }
  return { block: list, next };
}

function sibling(source, here, first) {
  const text = source.slice(here.at, here.to);
  const mark = isRule(text) ? null : markOf(here, text);
  return mark?.family === first.family ? mark : null;
}

/** The lines of one item, without its indentation, and the blank ones after it. */
function readItem(source, lines, at, mark) {
  const base = lines[at].indent;
  const inner = [line(source, mark.content, lines[at].to)];
  let fence = fenceAfter(source, inner[0], null);
  let next = at + 1;
  for (; next < lines.length; next += 1) {
    const here = lines[next];
    const isNested = here.indent >= base + 2 && markOf(here, source.slice(here.at, here.to)) !== null;
    const isInside = here.isBlank || fence || here.indent >= mark.width || isNested;
    if (!isInside && !continues(source, inner.at(-1), lines, next)) break;
    inner.push(strip(source, here, mark.width));
    fence = fenceAfter(source, inner.at(-1), fence);
  }
  let blanks = 0;
  for (; inner.length > 1 && inner.at(-1).isBlank; blanks += 1) inner.pop();
  return { lines: inner, blanks, next };
}

/** Whether two neighbouring blocks stand apart by a blank line. */
function hasGap(source, inside) {
  return inside.some((block, index) => index > 0 && /\n\s*\n/.test(source.slice(inside[index - 1].to, block.from)));
}

/** `[ ]` or `[x]` at the head of an item is a box. */
function takeBox(inside) {
  const run = inside[0]?.kind === "paragraph" ? inside[0].runs : [];
  const [open, state] = run;
  const box = open?.text === "[" && state?.kind === "text" ? /^([ xX])\] ?/.exec(state.text) : null;
  if (!box) return { isChecked: null, blocks: inside };
  const shown = { ...state, text: state.text.slice(box[0].length), from: state.from + box[0].length };
  return { isChecked: box[1] !== " ", blocks: [{ ...inside[0], runs: [shown, ...run.slice(2)] }, ...inside.slice(1)] };
}

function cellsOf(source, { at, to }) {
  const cells = [];
  let end = to;
  while (end > at && /\s/.test(source[end - 1])) end -= 1;
  let from = source[at] === "|" ? at + 1 : at;
  for (let place = from; place <= end; place += 1) {
    if (place < end && (source[place] !== "|" || source[place - 1] === "\\")) continue;
    if (place < end || place > from || cells.length === 0) cells.push(trim(source, from, place));
    from = place + 1;
  }
  return cells;
}

function trim(source, from, to) {
  while (from < to && /\s/.test(source[from])) from += 1;
  while (to > from && /\s/.test(source[to - 1])) to -= 1;
  return { from, to };
}

/** A table begins where a line with a bar stands above a row of dashes with as many cells. */
function tableAt(source, lines, at) {
  const below = lines[at + 1];
  if (!below || below.isBlank || !/[-|:]/.test(source[below.at])) return null;
  const dashes = cellsOf(source, below).map(({ from, to }) => source.slice(from, to));
  if (!dashes.every((cell) => /^:?-+:?$/.test(cell)) || !source.slice(lines[at].at, lines[at].to).includes("|")) return null;
  if (cellsOf(source, lines[at]).length !== dashes.length) return null;
  return { kind: "table", sides: dashes.map((cell) => (cell.endsWith(":") ? (cell.startsWith(":") ? "center" : "end") : "start")) };
}

function readTable(source, lines, at, depth, { sides }) {
  const row = (here) => cellsOf(source, here).slice(0, sides.length).map((cell) => spans(source, [cell]));
  const rows = [];
  let next = at + 2;
  for (; next < lines.length && !lines[next].isBlank; next += 1) {
    const start = startOf(source, lines, next, depth);
    if (start && start.kind !== "table") break;
    rows.push(row(lines[next]));
  }
  return { block: { kind: "table", sides, head: row(lines[at]), rows }, next };
}

/** Whether a line may end a paragraph above it: an empty item or a number other than one may not. */
function interrupts(start) {
  return start !== null && (start.kind !== "list" || (!start.isEmpty && (start.number ?? 1) === 1));
}

function readParagraph(source, lines, at, depth) {
  const segments = [];
  let next = at;
  for (; next < lines.length && !lines[next].isBlank; next += 1) {
    if (next > at && interrupts(startOf(source, lines, next, depth))) break;
    segments.push(trim(source, lines[next].at, lines[next].to));
  }
  return { block: { kind: "paragraph", runs: spans(source, segments) }, next };
}

const READERS = { heading: readHeading, code: readCode, quote: readQuote, rule: readRule, list: readList, table: readTable };
