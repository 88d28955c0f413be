// Server-sent events, tokens laid along their text, and an answer put together from chunks: `node --test web/test/*.test.mjs`.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { Answer } from "../answer.js";
import { EventReader, eventsOf } from "../stream.js";
import { Strand } from "../strand.js";

const STREAM = "\u{feff}: hello\n\ndata: {\"a\": \"é😀\"}\r\n\r\n: keep-alive\n\ndata:two\rdata: lines\r\revent: x\nid: 1\ndata: [DONE]\n\ndata: cut";
const EVENTS = ['{"a": "é😀"}', "two\nlines", "[DONE]"];

test("events are the same at every cut of the bytes", async () => {
  const bytes = new TextEncoder().encode(STREAM.slice(1));
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const body = ReadableStream.from([bytes.slice(0, cut), bytes.slice(cut)]);
    const events = [];
    for await (const data of eventsOf(body)) events.push(data);
    assert.deepEqual(events, EVENTS, `cut at ${cut}`);
  }
});

test("events are the same one character at a time", () => {
  const reader = new EventReader();
  assert.deepEqual([...STREAM.slice(1)].flatMap((character) => reader.push(character)), EVENTS);
});

test("a line without an end is refused before it fills the memory", () => {
  const reader = new EventReader();
  const part = "x".repeat(1 << 20);
  assert.throws(() => { for (let count = 0; count < 17; count += 1) reader.push(part); }, RangeError);
});

const token = (bytes, logprob = -0.5) => ({ token: "", logprob, bytes, top_logprobs: [] });
const utf8 = (text) => [...new TextEncoder().encode(text)];
const parts = (strand) => strand.words.map(({ from, to, tokens }) => [strand.text.slice(from, to), tokens.length]);

test("a character that took several tokens is one word with all of them", () => {
  const strand = new Strand();
  const [a, b, c, d] = utf8("😀");
  strand.push("Hi", [token(utf8("Hi"))]);
  strand.push("", [token([0x20, a, b])]);
  strand.push(" ", []);
  strand.push("😀!", [token([c]), token([d, 0x21])]);
  assert.equal(strand.text, "Hi 😀!");
  assert.deepEqual(parts(strand), [["Hi", 1], [" ", 1], ["😀!", 2]]);
  assert.equal(strand.known, strand.text.length);
});

test("tokens that the server trimmed or left out do not shift the others", () => {
  const strand = new Strand();
  strand.push("Hello", [token(utf8(" Hello"))]);
  strand.push(" wide world", [token(utf8("<hidden>")), token(utf8(" wide")), token(utf8(" world"))]);
  assert.deepEqual(parts(strand), [["Hello", 1], [" wide", 1], [" world", 1]]);
});

test("tokens without bytes, and special ones without any text", () => {
  const strand = new Strand();
  strand.push("ab", [{ token: "a", logprob: 0, bytes: null }, token([]), { token: "b", logprob: 0 }]);
  assert.deepEqual(parts(strand), [["a", 1], ["b", 1]]);
});

test("a range is cut at the edges of words", () => {
  const strand = new Strand();
  strand.push("one two three", [token(utf8("one")), token(utf8(" two"))]);
  assert.deepEqual(strand.pieces(1, 13), [{ from: 1, to: 3, word: 0 }, { from: 3, to: 7, word: 1 }, { from: 7, to: 13, word: -1 }]);
  assert.deepEqual(strand.pieces(4, 4), []);
});

test("an answer keeps apart what was thought and what was said, and counts", () => {
  const answer = new Answer(1000);
  const chunk = (delta, text, finish = null) =>
    ({ choices: [{ index: 0, delta, logprobs: { content: text ? [token(utf8(text))] : [] }, finish_reason: finish }] });
  answer.take(chunk({ role: "assistant", content: "" }, ""), 1100);
  answer.take(chunk({ reasoning_content: "hm" }, "hm"), 1500);
  answer.take(chunk({ content: "yes" }, "yes"), 2000);
  answer.take(chunk({ content: "!" }, "!"), 2500);
  answer.take(chunk({}, "", "stop"), 2600);
  answer.take({ choices: [], usage: { prompt_tokens: 7, completion_tokens: 3 } }, 2700);
  assert.deepEqual([answer.thinking.text, answer.said.text, answer.finish], ["hm", "yes!", "stop"]);
  assert.deepEqual(answer.figures, { tokens: 3, prompt: 7, firstMs: 500, perSecond: 2 });
  assert.equal(answer.thinking.words.length, 1);
});

test("an error in the stream keeps its hint", () => {
  assert.throws(() => new Answer(0).take({ error: { message: "out of memory", hint: "stop another" } }, 1),
    (error) => error.message === "out of memory" && error.hint === "stop another");
});

test("no file of the page writes markup or code out of text, or names another host", () => {
  const folder = new URL("../", import.meta.url);
  let sizeBytes = 0;
  for (const name of readdirSync(folder).filter((name) => /\.\w+$/.test(name))) {
    const text = readFileSync(new URL(name, folder), "utf8");
    sizeBytes += Buffer.byteLength(text);
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function|setHTMLUnsafe/, name);
    const hosts = [...text.matchAll(/https?:\/\/([a-z0-9.-]+)/gi)].map((found) => found[1]).filter((host) => host !== "www.w3.org");
    assert.deepEqual(hosts, [], name);
    assert.doesNotMatch(text, /\bstyle=|\bon\w+="/, `${name}: the policy forbids it`);
  }
  assert.ok(sizeBytes < 100 * 1024, `${sizeBytes} bytes`);
});
