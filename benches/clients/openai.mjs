// OpenAI's JavaScript client against a running server.

import fs from 'node:fs';

import OpenAI from 'openai';
import {
  CHAT, ENCODER, KEY, LIGHT, LIGHT_CALL, LIGHT_SCHEMA, OPENAI, PAINTER, SET_LIGHT, SUM, comesTo, holds, main, raises, same,
} from './shared/cells.mjs';

const client = new OpenAI({ baseURL: OPENAI, apiKey: KEY, maxRetries: 0 });
const STORY = 'Once upon a time there was a';

function ask(more = {}) {
  return client.chat.completions.create({ model: CHAT, messages: SUM, temperature: 0, ...more });
}

async function told(stream) {
  let text = '';
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? chunk.choices[0]?.text ?? '';
  return text;
}

await main('openai (JavaScript)', 'openai', {
  async models() {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    holds(ids.includes(CHAT), ids);
    same((await client.models.retrieve(CHAT)).id, CHAT);
  },

  async chat() {
    const answer = await ask();
    same([answer.choices[0].message.content, answer.choices[0].finish_reason], ['7.', 'stop']);
    same(answer.usage.completion_tokens, 2);
  },

  async stream() {
    same(await told(await ask({ stream: true })), '7.');
    let usage;
    for await (const chunk of await ask({ stream: true, stream_options: { include_usage: true } })) usage = chunk.usage;
    same(usage.completion_tokens, 2);
  },

  async 'stream helper'() {
    const stream = client.chat.completions.stream({ model: CHAT, messages: SUM, temperature: 0 });
    const pieces = [];
    stream.on('content', (piece) => pieces.push(piece));
    same((await stream.finalChatCompletion()).choices[0].message.content, '7.');
    same(pieces.join(''), '7.');
  },

  async tools() {
    const answer = await ask({ messages: LIGHT, tools: [SET_LIGHT] });
    const call = answer.choices[0].message.tool_calls?.[0];
    holds(call, answer);
    same([call.function.name, JSON.parse(call.function.arguments)], ['set_light', LIGHT_CALL]);
    same(answer.choices[0].finish_reason, 'tool_calls');
  },

  async 'tools required'() {
    const answer = await ask({ tools: [SET_LIGHT], tool_choice: 'required' });
    same(answer.choices[0].message.tool_calls?.[0]?.function.name, 'set_light');
  },

  async 'tools streamed'() {
    let asked;
    const run = client.chat.completions.runTools({
      model: CHAT, messages: LIGHT, temperature: 0, stream: true,
      tools: [{
        type: 'function',
        function: {
          name: 'set_light', description: 'Turns a light on or off.', parameters: LIGHT_SCHEMA, parse: JSON.parse,
          function: (call) => { asked = call; return '{"result": "done"}'; },
        },
      }],
    });
    const last = await run.finalContent();
    same(asked, LIGHT_CALL);
    holds(last, last);
  },

  async schema() {
    const json_schema = { name: 'light', schema: LIGHT_SCHEMA, strict: true };
    const answer = await ask({ messages: LIGHT, temperature: 2, seed: 1, response_format: { type: 'json_schema', json_schema } });
    const found = JSON.parse(answer.choices[0].message.content);
    same(Object.keys(found).sort(), ['room', 'state']);
    holds(['on', 'off'].includes(found.state), found);
  },

  async embeddings() {
    const answer = await client.embeddings.create({ model: ENCODER, input: ['the cat', 'the dog'] });
    const [first, second] = answer.data.map((one) => one.embedding);
    holds(Math.abs(Math.hypot(...first) - 1) < 1e-4 && first.length === second.length, first.length);
    const float = await client.embeddings.create({ model: ENCODER, input: 'the cat', encoding_format: 'float' });
    holds(float.data[0].embedding.every((number, at) => Math.abs(number - first[at]) < 1e-6), 'two different vectors');
  },

  async logprobs() {
    const tokens = (await ask({ logprobs: true, top_logprobs: 2 })).choices[0].logprobs.content;
    same(tokens.map((token) => token.token).join(''), '7.');
    holds(tokens.every((token) => token.top_logprobs.length === 2 && token.logprob <= 0), tokens);
  },

  async n() {
    const answer = await ask({ n: 2 });
    same(answer.choices.map((choice) => [choice.index, choice.message.content]), [[0, '7.'], [1, '7.']]);
  },

  async completions() {
    const body = { model: CHAT, prompt: STORY, max_tokens: 12, temperature: 0 };
    const whole = (await client.completions.create(body)).choices[0].text;
    same(await told(await client.completions.create({ ...body, stream: true })), whole);
  },

  async images() {
    const body = { model: PAINTER, prompt: 'a red cat', size: '48x32', seed: 7, steps: 3 };
    const answer = await client.images.generate({ ...body, n: 2 });
    const [first, second] = answer.data.map((one) => Buffer.from(one.b64_json, 'base64'));
    same([first.toString('latin1', 1, 4), first.readUInt32BE(16), first.readUInt32BE(20)], ['PNG', 48, 32]);
    holds(!first.equals(second), 'one picture twice');
    const again = await client.images.generate({ ...body, response_format: 'url' });
    same(again.data[0].url, `data:image/png;base64,${answer.data[0].b64_json}`);
  },

  async 'images streamed'() {
    const body = { model: PAINTER, prompt: 'a red cat', size: '48x32', seed: 7, steps: 4 };
    const events = [];
    for await (const event of await client.images.generate({ ...body, stream: true, partial_images: 2 })) events.push(event);
    same(events.map((event) => event.type.split('.')[1]), ['partial_image', 'partial_image', 'completed']);
    same(events[2].b64_json, (await client.images.generate(body)).data[0].b64_json);
  },

  async 'images edited'() {
    const photo = () => fs.createReadStream('fixtures/draw/photo.png');
    const body = { model: PAINTER, prompt: 'a red cat', size: '40x24', seed: 7, steps: 4 };
    const answer = await client.images.edit({ ...body, image: photo() });
    const png = Buffer.from(answer.data[0].b64_json, 'base64');
    same([png.readUInt32BE(16), png.readUInt32BE(20)], [40, 24]);
    const events = [];
    for await (const event of await client.images.edit({ ...body, image: photo(), stream: true })) events.push(event);
    same(events.map((event) => [event.type, event.b64_json]), [['image_edit.completed', answer.data[0].b64_json]]);
  },

  async errors() {
    const missing = await raises(OpenAI.NotFoundError, ask({ model: 'nobody' }));
    same([missing.status, missing.code], [404, 'model_not_found']);
    same((await raises(OpenAI.BadRequestError, ask({ temperature: -1 }))).param, 'temperature');
    const error = await raises(OpenAI.BadRequestError, client.images.generate({ prompt: 'a house', model: CHAT }));
    same([error.status, error.code], [400, 'wrong_task']);
  },

  async headers() {
    const { data, response, request_id: id } = await ask().withResponse();
    same(data.choices[0].message.content, '7.');
    holds(id?.startsWith('req_') && response.headers.get('content-type') === 'application/json', id);
  },

  async abort() {
    const body = { model: CHAT, prompt: STORY, max_tokens: 480, temperature: 1.5, stream: true };
    const stream = await client.completions.create({ ...body, logit_bias: { 0: -100, 1: -100, 2: -100 } });
    for await (const _ of stream) break;
    stream.controller.abort();
    await comesTo('hearth_answers_running', 0);
    same((await ask()).choices[0].message.content, '7.');
  },
});
