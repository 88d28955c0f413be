// Ollama's client for Node against a running server: chat, generate, streams, structure, tools, vectors, models.

import { Ollama } from 'ollama';
import { BASE, CHAT, ENCODER, KEY, LIGHT, LIGHT_CALL, LIGHT_SCHEMA, SET_LIGHT, SUM, holds, main, same } from './shared/cells.mjs';

const client = new Ollama({ host: BASE, headers: { Authorization: `Bearer ${KEY}` } });
const options = { temperature: 0, num_predict: 60 };
const raw = { model: CHAT, prompt: 'Once upon a time', raw: true, options: { ...options, num_predict: 12 } };
const FULL = `${CHAT}:latest`;

/// The error that a promise comes to.
async function refused(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('nothing was refused');
}

await main('ollama (Node)', 'ollama', {
  async chat() {
    const told = await client.chat({ model: CHAT, messages: SUM, options });
    same([told.message.content, told.done_reason], ['7.', 'stop']);
    holds(told.total_duration > 0 && told.eval_count === 2, told);
  },
  async 'chat stream'() {
    let text = '';
    for await (const part of await client.chat({ model: CHAT, messages: SUM, options, stream: true })) {
      text += part.message.content;
    }
    same(text, '7.');
  },
  async generate() {
    const told = await client.generate(raw);
    same([told.eval_count, told.done_reason], [12, 'length']);
    let [text, last] = ['', undefined];
    for await (const part of await client.generate({ ...raw, stream: true })) [text, last] = [text + part.response, part];
    same(text, told.response);
    holds(last.done && last.total_duration > 0, last);
  },
  async abort() {
    const stream = await client.generate({ ...raw, options: { num_predict: 400 }, stream: true });
    const reading = (async () => {
      for await (const _ of stream) stream.abort();
    })();
    same((await refused(reading)).name, 'AbortError');
  },
  async 'json schema'() {
    const told = await client.chat({ model: CHAT, messages: LIGHT, format: LIGHT_SCHEMA, options: { ...options, num_predict: 300 } });
    same(Object.keys(JSON.parse(told.message.content)).sort(), ['room', 'state']);
    return told.message.content;
  },
  async tools() {
    const told = await client.chat({ model: CHAT, messages: LIGHT, tools: [SET_LIGHT], options });
    const { name, arguments: given } = told.message.tool_calls[0].function;
    same([name, given], ['set_light', LIGHT_CALL]);
  },
  async embed() {
    const told = await client.embed({ model: ENCODER, input: ['the cat', 'the dog'] });
    holds(told.embeddings.length === 2 && told.embeddings[0].length > 1, told.embeddings.length);
  },
  async 'list, show and ps'() {
    const { models } = await client.list();
    holds(models.find((model) => model.name === FULL).details.quantization_level, models);
    const shown = await client.show({ model: CHAT });
    holds(shown.capabilities.includes('completion') && shown.model_info['general.architecture'], shown.capabilities);
    await client.generate({ model: CHAT, prompt: '', keep_alive: '10m' });
    const running = (await client.ps()).models.find((model) => model.name === FULL);
    holds(new Date(running.expires_at).getTime() > Date.now(), running);
  },
  async 'create, copy and delete'() {
    const statuses = [];
    for await (const part of await client.create({ model: 'node:made', from: CHAT, system: 'Be brief.', stream: true })) {
      statuses.push(part.status);
    }
    same(statuses.at(-1), 'success');
    await client.copy({ source: 'node:made', destination: 'node:copy' });
    await client.delete({ model: 'node:made' });
    await client.delete({ model: 'node:copy' });
  },
  async errors() {
    const error = await refused(client.chat({ model: 'no-such-model', messages: SUM }));
    same(error.status_code, 404);
    return error.message;
  },
  async version() {
    return (await client.version()).version;
  },
});
