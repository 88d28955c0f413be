// The inside of a paragraph: a line of Markdown becomes runs of text, emphasis, code, links and formulas, as data.
// Every text run knows its range of the source, so that a word on the page leads back to its tokens. Every search and
// stack is bounded: work grows linearly. Not here: reference links; raw HTML stays text (only <br> breaks a line).
// Source: CommonMark 0.31 chapter 6, GFM.

const SPECIAL = /[\\`*_~[\]!<&$]|https?:\/\//g;
const PUNCTUATION = /[!-/:-@[-`{-~]/;
const SPACE_OR_EDGE = /^\s?$/u;
const MARK = /[\p{P}\p{S}]/u;
const LONGEST_ADDRESS = 2048;
const LONGEST_FORMULA = 4000;
const DEEPEST = 32;
const LONGEST_RUN = 8;
const ENTITIES = {
  amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", copy: "©", reg: "®", hellip: "…", mdash: "—",
  ndash: "–", times: "×", deg: "°", rarr: "→", larr: "←", euro: "€", middot: "·", bull: "•",
};

/** Runs of one paragraph, heading or cell; `segments` are the source ranges of its lines. */
export function spans(source, segments) {
  const flow = join(source, segments);
  const scan = { flow, text: flow.text, at: 0, plain: 0, parts: [], delimiters: [], brackets: [], missing: new Set() };
  while (scan.at < scan.text.length) {
    SPECIAL.lastIndex = scan.at;
    const found = SPECIAL.exec(scan.text);
    if (!found) break;
    scan.at = found.index;
    if (!READERS[scan.text[scan.at]](scan)) scan.at += 1;
  }
  flush(scan, scan.text.length);
  pair(scan.delimiters);
  return build(scan);
}

/** An address that a person may follow: http, https or mailto, whole and well-formed; otherwise null. */
export function safeAddress(raw) {
  try {
    const url = new URL(raw.trim());
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/** Text of the source range [from, to) as one run. */
export function textRun(source, from, to) {
  return { kind: "text", text: source.slice(from, to), from, to };
}

function join(source, segments) {
  const starts = [];
  let length = 0;
  for (const { from, to } of segments) {
    starts.push(length);
    length += to - from + 1;
  }
  return { text: segments.map(({ from, to }) => source.slice(from, to)).join("\n"), starts, segments };
}

function segmentAt(flow, at) {
  let low = 0;
  let high = flow.starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (flow.starts[middle] <= at) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Source offset of a place in the joined lines. */
function offset(flow, at) {
  const index = segmentAt(flow, at);
  const segment = flow.segments[index];
  return Math.min(segment.from + at - flow.starts[index], segment.to);
}

/** Text runs for [from, to) of the joined lines, cut where a line ends. */
function leaves(flow, from, to) {
  const runs = [];
  let at = from;
  while (at < to) {
    const index = segmentAt(flow, at);
    const { from: start, to: end } = flow.segments[index];
    const lineEnd = flow.starts[index] + end - start;
    if (at === lineEnd) {
      runs.push({ kind: "text", text: "\n", from: end, to: end + 1 });
      at += 1;
    } else {
      const stop = Math.min(to, lineEnd);
      const source = start + at - flow.starts[index];
      runs.push({ kind: "text", text: flow.text.slice(at, stop), from: source, to: source + stop - at });
      at = stop;
    }
  }
  return runs;
}

function flush(scan, to) {
  if (to > scan.plain) scan.parts.push({ from: scan.plain, to });
}

/** Ends the plain text at `scan.at`, adds a part, and goes on at `next`. */
function add(scan, part, next) {
  flush(scan, scan.at);
  scan.parts.push(part);
  scan.at = next;
  scan.plain = next;
  return true;
}

function readEscape(scan) {
  const next = scan.text[scan.at + 1] ?? "";
  if (next === "(" || next === "[") {
    if (!readFormula(scan, next === "(" ? "\\)" : "\\]", next === "[")) scan.at += 2;
    return true;
  }
  if (next !== "\n" && !PUNCTUATION.test(next)) return false;
  flush(scan, scan.at);
  scan.plain = scan.at + 1;
  scan.at += 2;
  return true;
}

function readFormula(scan, close, isDisplayed) {
  if (scan.missing.has(close)) return false;
  const end = scan.text.indexOf(close, scan.at + 2);
  if (end < 0) scan.missing.add(close);
  if (end < 0 || end - scan.at > LONGEST_FORMULA) return false;
  const node = { kind: "formula", isDisplayed, runs: leaves(scan.flow, scan.at + 2, end) };
  return add(scan, { node }, end + 2);
}

function readDollars(scan) {
  return scan.text[scan.at + 1] === "$" && readFormula(scan, "$$", true);
}

function runLength(text, at) {
  let end = at + 1;
  while (text[end] === text[at]) end += 1;
  return end - at;
}

/** Where every run of backticks stands, by length: no partner is ever looked for by walking the text. */
function ticksByLength(text) {
  const ticks = new Map();
  for (const { 0: run, index } of text.matchAll(/`+/g)) {
    if (!ticks.has(run.length)) ticks.set(run.length, { places: [], next: 0 });
    ticks.get(run.length).places.push(index);
  }
  return ticks;
}

function readCode(scan) {
  const length = runLength(scan.text, scan.at);
  scan.ticks ??= ticksByLength(scan.text);
  const list = scan.ticks.get(length);
  while (list && list.places[list.next] <= scan.at) list.next += 1;
  const end = list?.places[list.next];
  if (end === undefined) {
    scan.at += length;
    return true;
  }
  let from = scan.at + length;
  let to = end;
  if (scan.text[from] === " " && scan.text[to - 1] === " " && scan.text.slice(from, to).trim()) {
    from += 1;
    to -= 1;
  }
  return add(scan, { node: { kind: "code", runs: leaves(scan.flow, from, to) } }, end + length);
}

function readDelimiter(scan) {
  const { text, at } = scan;
  const sign = text[at];
  const count = runLength(text, at);
  if (count > LONGEST_RUN || (sign === "~" && count !== 2)) {
    scan.at += count;
    return true;
  }
  const before = text[at - 1] ?? "";
  const after = text[at + count] ?? "";
  const leadsText = !SPACE_OR_EDGE.test(after) && (!MARK.test(after) || SPACE_OR_EDGE.test(before) || MARK.test(before));
  const followsText = !SPACE_OR_EDGE.test(before) && (!MARK.test(before) || SPACE_OR_EDGE.test(after) || MARK.test(after));
  const isWordwise = sign === "_";
  const delimiter = {
    sign, at, count, left: count, closed: 0, opens: [], closes: [],
    canOpen: leadsText && (!isWordwise || !followsText || MARK.test(before)),
    canClose: followsText && (!isWordwise || !leadsText || MARK.test(after)),
  };
  scan.delimiters.push(delimiter);
  return add(scan, { delimiter }, at + count);
}

function readBracket(scan) {
  const isImage = scan.text[scan.at] === "!";
  if (isImage && scan.text[scan.at + 1] !== "[") return false;
  const width = isImage ? 2 : 1;
  const bracket = { at: scan.at, width, isImage, isDead: false, link: null, bottom: scan.delimiters.length };
  scan.brackets.push(bracket);
  if (scan.brackets.length > DEEPEST) scan.brackets.shift();
  return add(scan, { bracket }, scan.at + width);
}

function readBracketEnd(scan) {
  const bracket = scan.brackets.pop();
  if (!bracket || bracket.isDead) return false;
  const target = readTarget(scan.text, scan.at + 1);
  const address = target && safeAddress(target.address);
  if (!address) return false;
  bracket.link = { kind: bracket.isImage ? "image" : "link", address };
  pair(scan.delimiters.splice(bracket.bottom));
  if (!bracket.isImage) for (const outer of scan.brackets) outer.isDead ||= !outer.isImage;
  return add(scan, { closing: bracket }, target.end);
}

/** `(address "title")` at `at`; the title is read over. */
function readTarget(text, at) {
  if (text[at] !== "(") return null;
  const rest = text.slice(at + 1, at + 1 + LONGEST_ADDRESS);
  let end = 0;
  for (let depth = 0; end < rest.length && !/\s/.test(rest[end]); end += 1) {
    if (rest[end] === "(") depth += 1;
    if (rest[end] === ")" && --depth < 0) break;
  }
  const tail = /^\s{0,9}(?:"[^"]*"|'[^']*'|\([^()]*\))?\s{0,9}\)/.exec(rest.slice(end));
  return tail && { address: rest.slice(0, end), end: at + 1 + end + tail[0].length };
}

function sticky(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function readAngle(scan) {
  const found = sticky(/<br\s?\/?>/iy, scan.text, scan.at);
  return found !== null && addAtom(scan, "\n", found[0].length);
}

/** One run whose text is not what the source says: it belongs to its whole range. */
function addAtom(scan, text, length) {
  const from = offset(scan.flow, scan.at);
  return add(scan, { node: { kind: "text", text, from, to: from + length } }, scan.at + length);
}

function readEntity(scan) {
  const found = sticky(/&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-zA-Z]{2,8}));/y, scan.text, scan.at);
  if (!found) return false;
  const text = found[3] ? ENTITIES[found[3]] : character(found[1] ? parseInt(found[1], 10) : parseInt(found[2], 16));
  return text !== undefined && addAtom(scan, text, found[0].length);
}

function character(code) {
  const isBad = code === 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000);
  return isBad ? "\ufffd" : String.fromCodePoint(code);
}

function readBareAddress(scan) {
  const found = sticky(/https?:\/\/[^\s<>"`]{1,2048}/y, scan.text, scan.at);
  if (!found || /\w/.test(scan.text[scan.at - 1] ?? "")) return false;
  const trimmed = found[0].replace(/[?!.,:;*_~'"\]|>]{1,64}$/, "");
  const isUnbalanced = trimmed.endsWith(")") && trimmed.split(")").length > trimmed.split("(").length;
  const raw = isUnbalanced ? trimmed.slice(0, -1) : trimmed;
  const address = safeAddress(raw);
  if (!address) return false;
  const end = scan.at + raw.length;
  return add(scan, { node: { kind: "link", address, runs: leaves(scan.flow, scan.at, end) } }, end);
}

const READERS = {
  "\\": readEscape, "`": readCode, $: readDollars, "*": readDelimiter, _: readDelimiter, "~": readDelimiter,
  "!": readBracket, "[": readBracket, "]": readBracketEnd, "<": readAngle, "&": readEntity, h: readBareAddress,
};

/** Finds which delimiters open and which close; an opener waits among at most DEEPEST others. */
function pair(delimiters) {
  const open = [];
  for (const closer of delimiters) {
    while (closer.canClose && closer.left > 0) {
      const at = open.findLastIndex((opener) => fits(opener, closer));
      if (at < 0) break;
      const opener = open[at];
      open.length = at + 1;
      const used = Math.min(opener.left, closer.left, 2);
      const kind = closer.sign === "~" ? "strike" : used === 2 ? "strong" : "emphasis";
      opener.opens.unshift(kind);
      closer.closes.push(kind);
      opener.left -= used;
      closer.left -= used;
      closer.closed += used;
      if (opener.left === 0) open.pop();
    }
    if (closer.canOpen && closer.left > 0) open.push(closer);
    if (open.length > DEEPEST) open.shift();
  }
}

function fits(opener, closer) {
  if (opener.sign !== closer.sign) return false;
  if (!opener.canClose && !closer.canOpen) return true;
  return (opener.count + closer.count) % 3 !== 0 || (opener.count % 3 === 0 && closer.count % 3 === 0);
}

/** The parts in order become a tree; whatever opened and never closed is text. */
function build({ flow, parts }) {
  const stack = [{ runs: [] }];
  const top = () => stack[stack.length - 1].runs;
  const open = (node) => {
    top().push(node);
    stack.push(node);
  };
  for (const { node, delimiter, bracket, closing, from, to } of parts) {
    if (node) top().push(node);
    else if (closing) stack.pop();
    else if (bracket?.link) open({ ...bracket.link, runs: [] });
    else if (bracket) top().push(...leaves(flow, bracket.at, bracket.at + bracket.width));
    else if (delimiter) {
      for (const _ of delimiter.closes) stack.pop();
      const start = delimiter.at + delimiter.closed;
      top().push(...leaves(flow, start, start + delimiter.left));
      for (const kind of delimiter.opens) open({ kind, runs: [] });
    } else top().push(...leaves(flow, from, to));
  }
  return stack[0].runs;
}
