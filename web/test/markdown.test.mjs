// Markdown to blocks and runs, as data: `node --test web/test/*.test.mjs`. The nodes that are made of it are tested in page.mjs.

import assert from "node:assert/strict";
import { test } from "node:test";
import { blocks, finalBlocks } from "../markdown.js";

/** A tree as a short line, written to be compared: p(text), em[...], link<address>[...]. */
function brief(node) {
  const runs = (list) => list.map(brief).join("");
  switch (node.kind) {
    case "text": return node.text.replaceAll("\n", "⏎");
    case "paragraph": return `p(${runs(node.runs)})`;
    case "heading": return `h${node.level}(${runs(node.runs)})`;
    case "rule": return "rule";
    case "quote": return `quote(${node.blocks.map(brief).join(" ")})`;
    case "list": return `${node.isOrdered ? `ol${node.start}` : "ul"}${node.isTight ? "" : "~"}(${node.items.map(item).join(" | ")})`;
    case "table": return `table[${node.sides}](${[node.head, ...node.rows].map((row) => row.map(runs).join(",")).join(";")})`;
    case "link": case "image": return `${node.kind}<${node.address}>[${runs(node.runs)}]`;
    case "code": return node.lines ? `code:${node.language}:${node.lines.length}${node.isClosed ? "" : "+"}` : `\`${runs(node.runs)}\``;
    default: return `${node.kind}[${runs(node.runs)}]`;
  }
  function item({ isChecked, blocks: inside }) {
    return (isChecked === null ? "" : isChecked ? "☑" : "☐") + inside.map(brief).join(" ");
  }
}

const CASES = [
  ["one\ntwo\n\nthree", "p(one⏎two) p(three)"],
  ["# Head #\n###### six\n####### seven\n#no", "h1(Head) h6(six) p(####### seven⏎#no)"],
  ["a *b* **c** ***d*** ~~e~~ _f_ snake_case_name 2 * 3 * 4",
    "p(a emphasis[b] strong[c] emphasis[strong[d]] strike[e] emphasis[f] snake_case_name 2 * 3 * 4)"],
  ["**open and *closed*", "p(**open and emphasis[closed])"],
  ["*a **b* c**", "p(emphasis[a emphasis[emphasis[b] c]])"],
  ["`a` ``b ` c`` `open", "p(`a` `b ` c` `open)"],
  ["\\*not\\* &lt;b&gt; &#65; &#0; &nothing; &amp", "p(*not* <b> A \ufffd &nothing; &amp)"],
  ["---\n***\n- - -", "rule rule rule"],
  ["```rust ignore\nfn a() {}\n\n```\nafter", "code:rust:2 p(after)"],
  ["~~~\n```\n~~~", "code::1"],
  ["```py\nopen", "code:py:1+"],
  ["> a\nlazy\n> > b\n\nout", "quote(p(a⏎lazy) quote(p(b))) p(out)"],
  ["> ```\n> x\n> ```\nout", "quote(code::1) p(out)"],
  ["- a\n- b\n  - c\n    - d\n- e", "ul(p(a) | p(b) ul(p(c) ul(p(d))) | p(e))"],
  ["1. a\n  - b\n2. c", "ol1(p(a) ul(p(b)) | p(c))"],
  ["3) x\n\n4) y\n\nz", "ol3~(p(x) | p(y)) p(z)"],
  ["1. a\n\n   more\n\n   ```sh\n   ls\n   ```\n2. b", "ol1~(p(a) p(more) code:sh:1 | p(b))"],
  ["- [ ] to do\n- [x] done\n- [y] no", "ul(☐p(to do) | ☑p(done) | p([y] no))"],
  ["In 1990\n1990. was a year", "p(In 1990⏎1990. was a year)"],
  ["| a | b |\n|:-:|--:|\n| 1 | *2* |\n| x \\| y |\n\nend", "table[center,end](a,b;1,emphasis[2];x | y) p(end)"],
  ["a | b\n--|--\n1 | 2", "table[start,start](a,b;1,2)"],
  ["no | table\n| - |", "p(no | table⏎| - |)"],
  ["[a *b*](https://x.example/p_(q) \"t\") https://y.example/z.",
    "p(link<https://x.example/p_(q)>[a emphasis[b]] link<https://y.example/z>[https://y.example/z].)"],
  ["(see https://x.example/a_(b)) **https://x.example/c**",
    "p((see link<https://x.example/a_(b)>[https://x.example/a_(b)]) strong[link<https://x.example/c>[https://x.example/c]])"],
  ["[[in](http://a.example)](http://b.example)", "p([link<http://a.example/>[in]](link<http://b.example/>[http://b.example]))"],
  ["![alt](https://evil.example/?q=secret)", "p(image<https://evil.example/?q=secret>[alt])"],
  ["[x](javascript:alert(1)) [y](data:text/html,hi) [z](JaVa\tscript:x) [r](/relative) [m](mailto:a@b.example)",
    "p([x](javascript:alert(1)) [y](data:text/html,hi) [z](JaVa\tscript:x) [r](/relative) link<mailto:a@b.example>[m])"],
  ["![p](data:image/svg+xml,<svg onload=alert(1)>)", "p(![p](data:image/svg+xml,<svg onload=alert(1)>))"],
  ["<script>alert(1)</script> <img src=x onerror=alert(1)>", "p(<script>alert(1)</script> <img src=x onerror=alert(1)>)"],
  ["a<br>b", "p(a⏎b)"],
  ["\\(a_1 * b_1\\) and $$x_2$$ and \\[ open", "p(formula[a_1 * b_1] and formula[x_2] and \\[ open)"],
  ["line  \nbreak\\\nagain", "p(line⏎break⏎again)"],
  ["* a\r\n* b\r\n", "ul(p(a) | p(b))"],
  ["-\n- x", "ul( | p(x))"],
  ["", ""],
];

for (const [source, expected] of CASES) {
  test(JSON.stringify(source).slice(0, 70), () => assert.equal(blocks(source).map(brief).join(" "), expected));
}

function everyRun(node, visit) {
  if (node.kind === "text") visit(node);
  for (const key of ["runs", "blocks", "items"]) for (const child of node[key] ?? []) everyRun(child, visit);
  for (const cells of node.head ? [node.head, ...node.rows] : []) for (const runs of cells) for (const run of runs) everyRun(run, visit);
}

test("every run says where in the source it stands", () => {
  for (const [source] of CASES) {
    for (const block of blocks(source)) {
      everyRun(block, (run) => {
        const written = source.slice(run.from, run.to);
        const isAtom = written.startsWith("&") || /^<br/i.test(written);
        if (!isAtom && run.text !== "\n") assert.equal(run.text, written, source);
      });
    }
  }
});

test("what is final stays the same whatever follows, at every cut of every case", () => {
  const whole = CASES.map(([source]) => source).join("\n\nplain\n\n");
  let from = 0;
  const drawn = [];
  for (let length = 0; length <= whole.length; length += 1) {
    const source = whole.slice(0, length);
    const list = blocks(source, from);
    const count = finalBlocks(source, list);
    drawn.push(...list.slice(0, count).map(brief));
    if (count > 0) from = list[count].from;
  }
  drawn.push(...blocks(whole, from).map(brief));
  assert.deepEqual(drawn, blocks(whole).map(brief));
});

const HOSTILE = ["*", "**a ", "_a", "[", "![", "[a](", "]", "`", "` `` ", "<", "&", "\\(", "$$", "> ", "- ", "1. ", "|", "|-", "~~", "https://",
  "[a](http://b.example)", "*a_", "#", "```\n", "\t", "<br>", "&#1;", "((", "- a\n  ", "| a |\n|-|\n"];

test("hostile repetition ends, and not in a deep tree", () => {
  for (const part of HOSTILE) {
    const source = part.repeat(Math.ceil(60_000 / part.length));
    let deepest = 0;
    const walk = (node, depth) => {
      deepest = Math.max(deepest, depth);
      for (const key of ["runs", "blocks", "items"]) for (const child of node[key] ?? []) walk(child, depth + 1);
    };
    for (const block of blocks(source)) walk(block, 0);
    assert.ok(deepest < 300, `${JSON.stringify(part)}: ${deepest}`);
  }
});
