// A stand-in for the server: serves the page with Hearth's headers and speaks the routes that the page uses, with
// awkward content. Not Hearth: what it answers is chosen by the question ("mock: slow"). For page.mjs and for looking.
// Alone: `node web/test/mock.mjs [PORT] [--key KEY]`.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { basename } from "node:path";
import { setTimeout as rest } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { CODE, HOSTILE, TALK, long } from "./texts.mjs";

const FOLDER = new URL("../", import.meta.url);
const TYPES = { html: "text/html; charset=utf-8", css: "text/css; charset=utf-8", js: "text/javascript; charset=utf-8", svg: "image/svg+xml" };
export const HEADERS = {
  "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "x-dns-prefetch-control": "off",
  "cross-origin-opener-policy": "same-origin", "cache-control": "no-cache",
};

/** Starts a mock on a free port of the loopback; gives back its address, what it saw, and how to end it. */
export async function start({ key = "", port = 0 } = {}) {
  const seen = { chats: [], left: 0 };
  const server = createServer((request, response) => {
    answer(request, response, { key, seen, port: server.address().port }).catch((error) => response.destroy(error));
  });
  await new Promise((ready) => server.listen(port, "127.0.0.1", ready));
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return { address: `http://127.0.0.1:${server.address().port}`, seen, stop };
}

async function answer(request, response, house) {
  const { pathname } = new URL(request.url, "http://house");
  if (pathname === "/") return file(response, "index.html");
  if (pathname === "/page/house.json") return json(response, 200, houseFacts(house));
  if (pathname.startsWith("/page/")) return file(response, basename(pathname));
  if (house.key && request.headers.authorization !== `Bearer ${house.key}`) {
    const error = { message: "A key is needed here.", type: "authentication_error", code: "key_missing", param: null, hint: "Make one with hearth key create." };
    return json(response, 401, { error });
  }
  if (pathname === "/v1/models") return json(response, 200, { object: "list", data: MODELS.map(({ name: id }) => ({ id, object: "model", created: 0, owned_by: "hearth" })) });
  if (pathname === "/api/ps") return json(response, 200, { models: [LOADED] });
  if (pathname === "/api/version") return json(response, 200, { version: "0.1.0" });
  if (pathname === "/v1/chat/completions" && request.method === "POST") return chat(request, response, house.seen);
  return json(response, 404, { error: { message: `There is no route ${pathname}.`, type: "not_found", code: "not_found", param: null } });
}

async function file(response, name) {
  const body = await readFile(new URL(name, FOLDER)).catch(() => null);
  const type = TYPES[name.split(".").pop()];
  if (!body || !type) return json(response, 404, { error: { message: `There is no ${name}.` } });
  response.writeHead(200, { ...HEADERS, "content-type": type }).end(body);
}

function json(response, status, body) {
  response.writeHead(status, { "content-type": "application/json", "x-content-type-options": "nosniff" }).end(JSON.stringify(body));
}

const MODELS = [{ name: "starter", size_bytes: 17_301_504, is_loaded: false }, { name: "qwen3:4b", size_bytes: 2_497_280_480, is_loaded: true },
  { name: "hf.co/a-long-namespace/a-model-with-a-rather-long-name-GGUF:Q4_K_M", size_bytes: 7_241_732_096, is_loaded: false }];
const LOADED = { name: "qwen3:4b", size: 3_100_000_000, size_vram: 0, expires_at: new Date(Date.now() + 300_000).toISOString(),
  details: { family: "qwen3", parameter_size: "4.0B", quantization_level: "Q4_K_M" }, context_length: 32768 };

function houseFacts({ key, port }) {
  const address = `http://127.0.0.1:${port}`;
  return { version: "0.1.0", address, addresses: [address, "https://hearth.local:4242", "https://192.168.1.20:4242"], tls: false,
    keys: Boolean(key), models: MODELS, certificate: "/house.crt" };
}

async function chat(request, response, seen) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = JSON.parse(Buffer.concat(parts).toString());
  seen.chats.push(body);
  const question = String(body.messages.at(-1).content);
  const name = /mock: (\w+)/.exec(question)?.[1] ?? "talk";
  if (name === "refuse") {
    return json(response, 503, { error: { message: "The model needs 9.1 GB and 3.2 GB are free.", type: "server_error", code: "memory", param: "model", hint: "Stop another model with: hearth stop qwen3:4b" } });
  }
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store" });
  response.on("close", () => { if (!response.writableFinished) seen.left += 1; });
  await SCENES[name](response, body);
  if (!response.destroyed) response.end();
}

const encode = (text) => Buffer.from(text, "utf8");

/** Cuts text into tokens as a byte-level vocabulary would: words with their space, half characters now and then. */
export function tokensOf(text) {
  const tokens = [];
  for (const [word] of text.matchAll(/ ?[\p{L}\p{M}]{1,7}|\s+| ?[^\s\p{L}\p{M}]{1,4}/gu)) {
    const bytes = encode(word);
    const wide = bytes.findIndex((byte) => byte >= 0xf0);
    if (wide >= 0) tokens.push(bytes.subarray(0, wide + 2), bytes.subarray(wide + 2));
    else tokens.push(bytes);
  }
  return tokens;
}

let seed = 1;
const chance = () => (seed = (seed * 48271) % 2147483647) / 2147483647;

function logprobOf(bytes) {
  const share = [0.998, 0.97, 0.8, 0.55, 0.3, 0.12, 0.03][Math.floor(chance() * chance() * 7)];
  const entry = (token, part) => ({ token, logprob: Math.log(part), bytes: [...encode(token)] });
  const own = { token: bytes.toString("utf8"), logprob: Math.log(share), bytes: [...bytes] };
  const others = [" the", " a", "\n", " house", "<b>x</b>"].map((token, index) => entry(token, ((1 - share) * 0.8) / 2 ** (index + 1)));
  const top = share < 0.05 ? others : [own, ...others.slice(0, 4)];
  return { ...own, top_logprobs: top.sort((a, b) => b.logprob - a.logprob) };
}

function write(response, value) {
  return response.write(`data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`);
}

const chunk = (delta, tokens = [], finish = null) =>
  ({ id: "chat-1", object: "chat.completion.chunk", choices: [{ index: 0, delta, logprobs: { content: tokens }, finish_reason: finish }] });

/** Streams a text token by token; the text of half a character comes with its other half, as a server does it. */
async function say(response, text, { pauseMs = 0, field = "content", atOnce = 1 } = {}) {
  const decoder = new TextDecoder();
  let count = 0;
  for (const bytes of tokensOf(text)) {
    if (response.destroyed) return count;
    const content = decoder.decode(bytes, { stream: true });
    const isRoom = write(response, chunk(content ? { [field]: content } : {}, [logprobOf(bytes)]));
    count += 1;
    if (pauseMs && count % atOnce === 0) await rest(pauseMs);
    else if (!isRoom) await new Promise((go) => { response.once("drain", go); setTimeout(go, 50); });
  }
  return count;
}

async function end(response, count, finish = "stop") {
  write(response, chunk({}, [], finish));
  write(response, { choices: [], usage: { prompt_tokens: 42, completion_tokens: count, total_tokens: 42 + count } });
  write(response, "[DONE]");
}

async function whole(response, text, options) {
  write(response, chunk({ role: "assistant", content: "" }));
  await end(response, await say(response, text, options));
}

const SCENES = {
  talk: (response) => whole(response, TALK, { pauseMs: 4 }),
  code: (response) => whole(response, CODE, { pauseMs: 2 }),
  hostile: (response) => whole(response, HOSTILE),
  slow: (response) => whole(response, "one two three four five six seven eight nine ten ".repeat(40), { pauseMs: 60 }),
  long: (response, body) => whole(response, long(body.messages.at(-1).content), { pauseMs: 1, atOnce: 40 }),
  short: (response) => whole(response, "Yes. 😀 é ありがとう 👩‍👩‍👧 end."),
  empty: (response) => whole(response, ""),
  async think(response) {
    write(response, chunk({ role: "assistant", content: "" }));
    const thought = await say(response, "The person asks for a **colour**.\n\nBlue is near.", { pauseMs: 5, field: "reasoning_content" });
    response.write(": keep-alive\n\n");
    await end(response, thought + await say(response, "Blue.", { pauseMs: 5 }));
  },
  async cut(response) {
    write(response, chunk({ role: "assistant", content: "" }));
    await end(response, await say(response, "This answer is cut at its"), "length");
  },
  async fail(response) {
    await say(response, "It began well, and then", { pauseMs: 5 });
    write(response, { error: { message: "The model was unloaded.", type: "server_error", code: "unloaded", param: null, hint: "Ask again; it loads anew." } });
  },
  async lost(response) {
    await say(response, "Half an ans", { pauseMs: 5 });
    await rest(30);
    response.destroy();
  },
  /** Bytes of the stream cut in the middle of characters and lines. */
  async split(response) {
    const data = [..."Größe 😀 ありがとう".match(/./gu)].map((content) => `data: ${JSON.stringify(chunk({ content }, [logprobOf(encode(content))]))}\r\n\r\n`).join("");
    const bytes = encode(`${data}data: [DONE]\r\n\r\n`);
    for (let at = 0; at < bytes.length; at += 37) {
      response.write(bytes.subarray(at, at + 37));
      await rest(1);
    }
  },
};

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const at = process.argv.indexOf("--key");
  const { address } = await start({ key: at > 0 ? process.argv[at + 1] : "", port: Number(process.argv[2]) || 0 });
  console.log(address);
}
