// An answer while it is given, from the chunks of `/v1/chat/completions`: what was thought, what was said, how it ended,
// what it took. Pure data; times come from the caller.

import { ServerError } from "./problem.js";
import { Strand } from "./strand.js";

export class Answer {
  thinking = new Strand();
  said = new Strand();
  finish = null;
  usage = null;
  tokens = 0;
  startMs;
  firstMs = null;
  lastMs = null;
  #current = this.said;

  constructor(startMs) {
    this.startMs = startMs;
  }

  /** One chunk, already parsed. Throws a ServerError where the chunk is an error. */
  take(chunk, nowMs) {
    if (chunk.error) throw ServerError.from(chunk, 0);
    if (chunk.usage) this.usage = chunk.usage;
    const choice = chunk.choices?.[0];
    if (!choice) return;
    const delta = choice.delta ?? {};
    const tokens = choice.logprobs?.content ?? [];
    if (delta.reasoning_content) this.#current = this.thinking;
    if (delta.reasoning_content) this.thinking.push(delta.reasoning_content, delta.content ? [] : tokens);
    if (delta.content) this.#current = this.said;
    if (delta.content) this.said.push(delta.content, tokens);
    else if (!delta.reasoning_content && tokens.length > 0) this.#current.push("", tokens);
    if (choice.finish_reason) this.finish = choice.finish_reason;
    this.#count(tokens.length || (delta.content || delta.reasoning_content ? 1 : 0), nowMs);
  }

  #count(tokens, nowMs) {
    if (tokens === 0) return;
    this.firstMs ??= nowMs;
    this.lastMs = nowMs;
    this.tokens += tokens;
  }

  /** Counts and speed, as far as they are known. */
  get figures() {
    const tokens = this.usage?.completion_tokens ?? this.tokens;
    const spanMs = this.firstMs === null ? 0 : this.lastMs - this.firstMs;
    return {
      tokens,
      prompt: this.usage?.prompt_tokens ?? null,
      firstMs: this.firstMs === null ? null : this.firstMs - this.startMs,
      perSecond: tokens > 1 && spanMs > 0 ? ((tokens - 1) * 1000) / spanMs : null,
    };
  }
}
