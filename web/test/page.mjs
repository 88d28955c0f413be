// The page in a real browser: `node web/test/page.mjs [ADDRESS] [--key KEY] [--model NAME] [--shots FOLDER] [--cells]`.
// Without an address it starts the stand-in of mock.mjs and runs every check; against a real server it runs those that
// do not need chosen answers from it (hostile text is put in front of that server's own page and headers).
// PLAYWRIGHT_CORE names the folder of playwright-core, CHROMIUM the browser (default /usr/bin/chromium). With --cells the
// last line is what `cargo xtask clients` reads: JSON, with the names of the checks that failed.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { start, tokensOf } from "./mock.mjs";
import { HOSTILE } from "./texts.mjs";

const { values: options, positionals } = parseArgs({ allowPositionals: true,
  options: { key: { type: "string" }, model: { type: "string" }, shots: { type: "string" }, only: { type: "string" },
    cells: { type: "boolean" } } });
const require = createRequire(join(process.env.PLAYWRIGHT_CORE ?? process.cwd(), "package.json"));
const { chromium } = require(process.env.PLAYWRIGHT_CORE ?? "playwright-core");

const mock = positionals[0] ? null : await start();
const address = (positionals[0] ?? mock.address).replace(/\/$/, "");
const scratch = mkdtempSync(join(tmpdir(), "hearth-page-"));
const netLog = join(scratch, "net.json");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-component-update", `--log-net-log=${netLog}`] });
if (options.shots) mkdirSync(options.shots, { recursive: true });

const CHECKS = [];
const everywhere = (name, check) => CHECKS.push({ name, check });
const mockOnly = (name, check) => mock && CHECKS.push({ name, check });

/** A fresh page that fails the check at any foreign request, dialog, console error or script error. */
async function open(settings = {}) {
  const { base = address, ...rest } = settings;
  const context = await browser.newContext({ viewport: { width: 1180, height: 820 }, ...rest });
  const bad = [];
  const allowed = settings.allowed ?? [];
  await context.route("**/*", (route) => {
    const url = new URL(route.request().url());
    if (url.origin === new URL(base).origin) return route.continue();
    bad.push(`request to ${url.href}`);
    return route.abort();
  });
  context.on("page", (page) => {
    page.on("dialog", (dialog) => { bad.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    page.on("console", (message) => { if (message.type() === "error" && !allowed.some((part) => message.text().includes(part))) bad.push(`console: ${message.text()}`); });
    page.on("pageerror", (error) => bad.push(`error: ${error.stack}`));
    page.on("websocket", (socket) => bad.push(`socket: ${socket.url()}`));
  });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  if (options.key) await page.addInitScript((key) => sessionStorage.setItem("hearth-key", key), options.key);
  const response = await page.goto(base);
  await page.waitForFunction(() => !document.querySelector("#model").disabled || document.querySelector("#key").open);
  if (options.model) await page.selectOption("#model", options.model);
  return { page, context, bad, response, close: async () => { await context.close(); assert.deepEqual(bad, []); } };
}

async function ask(page, text) {
  await page.fill("#prompt", text);
  await page.press("#prompt", "Enter");
}

const finished = (page, timeout = 60_000) => page.waitForFunction(() => {
  const last = document.querySelector(".given:last-child");
  return last && !last.classList.contains("busy");
}, null, { timeout });

const shot = (page, name) => options.shots && page.screenshot({ path: join(options.shots, `${name}.png`), animations: "disabled" });

/** Every visible text with a contrast below 4.5 (3 for large text) against what it stands on. */
function poorContrast() {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); return canvas.getImageData(0, 0, 1, 1).data; };
  const light = ([r, g, b]) => [r, g, b].map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)).reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (node) => { for (let at = node; at; at = at.parentElement) { const colour = rgba(getComputedStyle(at).backgroundColor); if (colour[3] > 250) return colour; } return [255, 255, 255]; };
  const poor = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!node.data.trim() || !parent.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) || parent.closest(".unseen, :disabled, option, script, style, noscript")) continue;
    const style = getComputedStyle(parent);
    const [a, b] = [light(rgba(style.color)), light(ground(parent))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const isLarge = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if (ratio < (isLarge ? 3 : 4.5)) poor.add(`${parent.tagName}.${parent.className}: ${ratio.toFixed(2)} "${node.data.trim().slice(0, 20)}"`);
  }
  return [...poor];
}

/** Buttons and fields without a name, and ids that stand twice. */
function unnamed() {
  const fields = [...document.querySelectorAll("button, input, select, textarea, dialog")].filter((node) =>
    !(node.getAttribute("aria-label") || node.getAttribute("aria-labelledby") || node.labels?.length || node.textContent.trim()));
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  return [...fields.map((node) => node.outerHTML.slice(0, 80)), ...ids.filter((id, index) => ids.indexOf(id) !== index)];
}

const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

everywhere("the page comes with its policy and asks for nothing from elsewhere", async () => {
  const { page, response, close } = await open();
  const headers = response.headers();
  assert.match(headers["content-type"], /^text\/html; ?charset=utf-8/i);
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"])
    assert.ok(headers["content-security-policy"].includes(part), part);
  assert.doesNotMatch(headers["content-security-policy"], /unsafe|https?:|\*/);
  assert.equal(headers["x-content-type-options"], "nosniff");
  assert.equal(headers["referrer-policy"], "no-referrer");
  assert.equal(headers["x-dns-prefetch-control"], "off");
  assert.deepEqual(await page.evaluate(unnamed), []);
  await shot(page, "welcome-light");
  await close();
});

everywhere("an answer streams, ends, and every word opens to its alternatives", async () => {
  const { page, close } = await open();
  await page.evaluate(() => new MutationObserver(() => {
    if (document.querySelector(".given.busy .text .sheet *")) window.sawEarly = true;
  }).observe(document.querySelector("#log"), { childList: true, subtree: true }));
  await ask(page, "Explain why the sky is blue");
  await finished(page, 120_000);
  assert.ok(await page.evaluate(() => window.sawEarly), "text stood there before the end");
  assert.match(await page.textContent(".figures"), /\d+ tokens?/);
  const word = page.locator(".given .word", { hasText: /^\w{2,}$/ }).first();
  await word.click();
  await page.waitForSelector(".card");
  assert.ok(await page.locator(".card li").count() >= 2);
  assert.equal(await page.locator(".card li.chosen").count(), 1);
  assert.match(await page.textContent(".card .lead"), /chosen with .*%.*surprise .*bits/);
  await page.keyboard.press("Escape");
  assert.equal(await page.locator(".card").count(), 0);
  await close();
});

everywhere("words are reached by keyboard", async () => {
  const { page, close } = await open();
  await ask(page, "mock: talk");
  await finished(page, 120_000);
  const word = page.locator('.given .word[tabindex="0"]');
  assert.equal(await word.count(), 1);
  await word.focus();
  const first = await page.evaluate(() => document.activeElement.dataset.word);
  await page.keyboard.press("ArrowRight");
  assert.ok(Number(await page.evaluate(() => document.activeElement.dataset.word)) > Number(first));
  await page.keyboard.press("Enter");
  const before = await page.textContent(".card h3");
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.locator(".card").count(), 1);
  await page.keyboard.press("ArrowLeft");
  assert.equal(await page.textContent(".card h3"), before);
  await page.keyboard.press("Escape");
  assert.ok(await page.evaluate(() => document.activeElement.matches(".word")));
  assert.equal(await page.locator('.given .word[tabindex="0"]').count(), 1);
  await close();
});

everywhere("hostile text: no request, no dialog, no script, no node that it asked for", async () => {
  const { page, context, close } = await open();
  const chunk = (delta, content) => `data: ${JSON.stringify({ choices: [{ index: 0, delta, logprobs: { content }, finish_reason: null }] })}\n\n`;
  const body = tokensOf(HOSTILE).map((bytes) => [new TextDecoder().decode(bytes), bytes]).map(([token, bytes]) =>
    ({ token, logprob: -1, bytes: [...bytes], top_logprobs: [{ token: "<img src=https://evil.example/card.png onerror=alert(1)>", logprob: -0.5, bytes: null }] }));
  const text = chunk({ reasoning_content: HOSTILE }, []) + chunk({ content: HOSTILE }, body) + "data: [DONE]\n\n";
  await context.route("**/v1/chat/completions", (route) => route.fulfill({ status: 200, contentType: "text/event-stream", body: text }));
  await ask(page, "hostile");
  await finished(page);
  await page.click(".thought summary");
  await page.locator(".given .text .word:not(a .word)").first().click();
  assert.match(await page.textContent(".card"), /<img src=https:/);
  const found = await page.evaluate(() => ({
    nodes: [...new Set([...document.querySelectorAll(".message *")].map((node) => node.localName))].sort(),
    attributes: [...new Set([...document.querySelectorAll(".message *")].flatMap((node) => node.getAttributeNames()))].sort(),
    links: [...document.querySelectorAll(".message a")].map((link) => [link.protocol, link.rel, link.target]),
    text: document.querySelector(".given .text").textContent,
  }));
  for (const name of ["img", "script", "iframe", "object", "embed", "link", "style", "meta", "base", "form", "input", "video"])
    assert.ok(!found.nodes.includes(name), name);
  for (const name of found.attributes) assert.ok(!/^(on|src|style$|ping|poster|srcdoc|action|formaction)/.test(name), name);
  for (const [protocol, rel, target] of found.links) {
    assert.match(protocol, /^(https?|mailto):$/);
    assert.deepEqual([rel, target], ["noopener noreferrer nofollow", "_blank"]);
  }
  assert.ok(found.links.length > 5);
  assert.match(found.text, /<script>alert\(1\)<\/script>[^]*javascript:alert\(1\)[^]*data:text\/html[^]*THE END/);
  assert.match(found.text, /trust me \(evil\.example\/login\)/);
  await page.mouse.move(300, 300);
  await page.hover(".message a");
  await page.waitForTimeout(300);
  assert.equal(await overflow(page), 0);
  await shot(page, "hostile");
  await close();
});

mockOnly("text stands there before the end, and stop stops", async () => {
  const { page, close } = await open();
  const { left } = mock.seen;
  await ask(page, "mock: slow");
  await page.waitForFunction(() => document.querySelector(".given .text .sheet")?.textContent.includes("three"));
  assert.ok(await page.isVisible("#stop"));
  await page.click("#stop");
  await finished(page);
  const text = await page.textContent(".given .text");
  assert.ok(text.length < 600, text);
  assert.equal(await page.textContent(".notice"), "Stopped.");
  await page.waitForTimeout(200);
  assert.equal(mock.seen.left, left + 1);
  assert.equal(await page.textContent(".given .text"), text);
  await ask(page, "mock: short");
  await finished(page);
  assert.equal(mock.seen.chats.at(-1).messages.length, 3);
  await close();
});

mockOnly("the request is what the contract says, with the system prompt and the temperature", async () => {
  const { page, close } = await open();
  assert.equal(await page.inputValue("#model"), "qwen3:4b");
  await page.click("#open-settings");
  await page.fill("#system", "Be brief.");
  await page.fill("#temperature", "0.3");
  await shot(page, "settings");
  await page.keyboard.press("Escape");
  await page.selectOption("#model", "starter");
  await page.fill("#prompt", "mock: short");
  await page.press("#prompt", "Shift+Enter");
  await page.type("#prompt", "second line");
  await page.press("#prompt", "Enter");
  await finished(page);
  assert.deepEqual(mock.seen.chats.at(-1), { model: "starter", stream: true, stream_options: { include_usage: true }, logprobs: true, top_logprobs: 5, temperature: 0.3,
    messages: [{ role: "system", content: "Be brief." }, { role: "user", content: "mock: short\nsecond line" }] });
  await page.click(".again");
  await finished(page);
  assert.equal(mock.seen.chats.at(-1).messages.length, 2);
  assert.equal(await page.locator(".message").count(), 2);
  await page.click("#new");
  assert.equal(await page.locator(".message").count(), 0);
  assert.ok(await page.isVisible("#welcome"));
  await close();
});

mockOnly("split characters and lines: the text is whole and each sign is one word", async () => {
  const { page, close } = await open();
  await ask(page, "mock: split");
  await finished(page);
  assert.equal((await page.textContent(".given .text")).trim(), "Größe 😀 ありがとう");
  await ask(page, "mock: short");
  await finished(page);
  assert.match(await page.textContent(".given:last-child .text"), /^Yes\. 😀 é ありがとう 👩‍👩‍👧 end\.$/);
  await page.locator(".given:last-child .word", { hasText: "😀" }).click();
  assert.equal(await page.locator(".card .lead").count(), 2);
  await close();
});

mockOnly("thinking is folded, what breaks says why and what to do, and it can be asked again", async () => {
  const { page, close } = await open({ allowed: ["503", "ERR_INCOMPLETE_CHUNKED_ENCODING"] });
  await ask(page, "mock: think");
  await finished(page);
  assert.equal(await page.evaluate(() => document.querySelector(".thought").open), false);
  assert.equal(await page.textContent(".given .text"), "Blue.");
  await page.click(".thought summary");
  assert.equal(await page.textContent(".thought strong"), "colour");
  for (const [scene, pattern] of [["refuse", /9\.1 GB.*hearth stop/s], ["fail", /unloaded.*loads anew/s], ["lost", /connection ended before.*Try again/s]]) {
    await ask(page, `mock: ${scene}`);
    await finished(page);
    assert.match(await page.textContent(".given:last-child .problem"), pattern);
  }
  assert.match(await page.textContent(".given:last-child .text"), /Half an ans/);
  await shot(page, "problems");
  for (const [scene, pattern] of [["cut", /longest length/], ["empty", /said nothing/]]) {
    await ask(page, `mock: ${scene}`);
    await finished(page);
    assert.match(await page.textContent(".given:last-child .notice"), pattern);
  }
  await close();
});

mockOnly("rendered Markdown, its words, its source, its code; light, dark and tinted", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const { page, context, close } = await open({ colorScheme });
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    if (colorScheme === "dark") await shot(page, "welcome-dark");
    await ask(page, "mock: talk");
    await finished(page);
    for (const part of ["ol > li > ul > li", "blockquote p", "h4", "table th", "td.center", "figure.code pre", ".tick", ".formula", "a", "strong .word", "code .word"])
      assert.ok(await page.locator(`.given ${part}`).count(), part);
    await page.click(".copy-code");
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^def scattered.*\n    """.*\n    return .*\*\* 4$/);
    await shot(page, `answer-end-${colorScheme}`);
    await page.evaluate(() => document.querySelector("#talk").scrollTo(0, 0));
    await shot(page, `answer-${colorScheme}`);
    await page.locator(".given .word", { hasText: /^every$/ }).click();
    await shot(page, `card-${colorScheme}`);
    assert.deepEqual(await page.evaluate(poorContrast), []);
    await page.keyboard.press("Escape");
    await page.click(".switch");
    await shot(page, `tinted-${colorScheme}`);
    assert.deepEqual(await page.evaluate(poorContrast), []);
    await page.click('[aria-label="Show as written"]');
    assert.match(await page.textContent(".written"), /\*\*mixture of all colours\*\*/);
    await page.locator(".written .word", { hasText: "**" }).first().click();
    assert.equal(await page.locator(".card").count(), 1);
    await page.keyboard.press("Escape");
    await page.click('[aria-label="Copy the answer"]');
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^Sunlight.*\*\*mixture/);
    await page.click("#open-house");
    await page.waitForSelector(".things li");
    await shot(page, `house-${colorScheme}`);
    assert.match(await page.textContent("#house-body"), /qwen3:4b.*2\.5 GB.*base_url="http:\/\/127.*curl http.*OLLAMA_HOST/s);
    assert.deepEqual(await page.evaluate(poorContrast), []);
    assert.ok(await page.evaluate(() => [...document.querySelectorAll("#house figure")].every((figure) => figure.offsetHeight > 80)), "the lines to copy are in sight");
    await page.evaluate(() => document.querySelector("#house-body").scrollTo(0, 9999));
    await shot(page, `house-end-${colorScheme}`);
    await page.keyboard.press("Escape");
    assert.ok(await page.evaluate(() => document.activeElement.id === "open-house"));
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), colorScheme);
    await page.click("#theme");
    assert.notEqual(await page.evaluate(() => document.documentElement.dataset.theme), colorScheme);
    await page.reload();
    assert.notEqual(await page.evaluate(() => document.documentElement.dataset.theme), colorScheme);
    await close();
  }
});

everywhere("360 pixels wide: nothing stands out, everything is in reach", async () => {
  const { page, close } = await open({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
  assert.equal(await overflow(page), 0);
  await shot(page, "phone-welcome");
  await ask(page, "mock: talk");
  await finished(page, 120_000);
  assert.equal(await overflow(page), 0);
  await shot(page, "phone-answer");
  await page.locator(".given .word", { hasText: /^\w{2,}$/ }).first().tap();
  await page.waitForSelector(".card");
  const box = await page.locator(".card").boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 360 && box.y + box.height <= 740, JSON.stringify(box));
  await shot(page, "phone-card");
  await page.click('.card [aria-label="Close"]');
  await page.click("#open-house");
  await page.waitForSelector(".things li");
  assert.equal(await overflow(page), 0);
  await shot(page, "phone-house");
  await page.click("#house .close");
  await page.click("#open-settings");
  await shot(page, "phone-settings");
  await close();
});

mockOnly("a long answer is drawn to its end, whatever it is made of, and lets the reader scroll", async () => {
  for (const kind of ["blocks", "code", "list", "paragraph"]) {
    const { page, close } = await open();
    await ask(page, `mock: long ${kind}`);
    await page.waitForFunction(() => document.querySelector(".given .text .sheet")?.textContent.includes("Line 90 "), null, { timeout: 60_000 });
    await page.hover("#talk");
    await page.mouse.wheel(0, -400);
    await page.waitForSelector("#to-end:not([hidden])");
    const top = await page.evaluate(() => document.querySelector("#talk").scrollTop);
    await page.waitForTimeout(300);
    assert.ok(Math.abs(await page.evaluate(() => document.querySelector("#talk").scrollTop) - top) < 300, "the page scrolled against the reader");
    await finished(page, 120_000);
    assert.ok((await page.textContent(".given .text")).endsWith("THE END"));
    assert.ok(await page.locator(".given .word").count() > 15_000);
    await page.click("#to-end");
    assert.ok(await page.evaluate(() => { const view = document.querySelector("#talk"); return view.scrollHeight - view.clientHeight - view.scrollTop < 5; }));
    await close();
  }
});

mockOnly("where a key is needed it is asked for, kept for the tab alone, and asked again when it is wrong", async () => {
  const locked = await start({ key: "right" });
  const { page, close } = await open({ base: locked.address, allowed: ["401"] });
  await page.waitForSelector("#key[open]");
  await shot(page, "key");
  await page.fill("#key-field", "wrong");
  await page.press("#key-field", "Enter");
  await page.waitForFunction(() => document.querySelector("#key-message").textContent.includes("not accepted"));
  await page.fill("#key-field", "right");
  await page.press("#key-field", "Enter");
  await page.waitForFunction(() => !document.querySelector("#model").disabled);
  await ask(page, "mock: short");
  await finished(page);
  assert.equal(locked.seen.chats.length, 1);
  const kept = await page.evaluate(() => [sessionStorage.getItem("hearth-key"), Object.keys(localStorage), document.cookie]);
  assert.deepEqual(kept, ["right", [], ""]);
  await page.reload();
  await page.waitForFunction(() => !document.querySelector("#model").disabled);
  await close();
  locked.stop();
});

const failed = [];
for (const { name, check } of CHECKS) {
  if (options.only && !name.includes(options.only)) continue;
  try {
    await check();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed.push(name);
    console.log(`FAILED  ${name}\n${error.stack}`);
  }
}
await browser.close();
// Not even a name was looked up: the browser's own log of its network knows nothing of the hosts in the answers.
const log = readFileSync(netLog, "utf8");
const named = [...new Set(log.match(/[\w.-]*\b(?:evil|bank|books|light)\.example/g) ?? [])];
if (named.length > 0) failed.push("no name is looked up");
console.log(named.length > 0 ? `FAILED  the browser's network log names ${named}` : "ok      the browser's network log names no host of any answer");
rmSync(scratch, { recursive: true });
mock?.stop();
console.log(failed.length > 0 ? `${failed.length} failed` : "all hold");
if (options.cells)
  console.log(JSON.stringify({ client: "the page in Chromium", feature: "page", ok: failed.length === 0, note: failed.join("; ") }));
process.exit(failed.length > 0 ? 1 : 0);
