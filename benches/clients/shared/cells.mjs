// The same as cells.py for Node: features are functions that fail, and become one line of JSON each.
//
// Started as `SCRIPT BASE KEY [FEATURE ...]`, as the Python scripts are.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const [base, key, ...wanted] = process.argv.slice(2);
export const BASE = base.replace(/\/$/, '');
export const KEY = key;
export const OPENAI = `${BASE}/v1`;
export const CHAT = 'starter';
export const ENCODER = 'encoder';
export const PAINTER = 'painter';
export const SUM = [{ role: 'user', content: 'What is 3 + 4?' }];
export const LIGHT = [{ role: 'user', content: 'Turn on the light in the kitchen.' }];
export const LIGHT_CALL = { room: 'kitchen', state: 'on' };
export const LIGHT_SCHEMA = {
  type: 'object',
  properties: {
    room: { type: 'string', enum: ['kitchen', 'bedroom'] },
    state: { type: 'string', enum: ['on', 'off'] },
  },
  required: ['room', 'state'],
  additionalProperties: false,
};
export const SET_LIGHT = {
  type: 'function',
  function: { name: 'set_light', description: 'Turns a light on or off.', parameters: LIGHT_SCHEMA },
};
const PATIENCE_MS = 120_000;

export function same(found, expected) {
  assert.deepEqual(found, expected);
}

export function holds(condition, said) {
  assert.ok(condition, JSON.stringify(said));
}

/// The error of this class that a promise comes to.
export async function raises(kind, promise) {
  let answer;
  try {
    answer = await promise;
  } catch (error) {
    assert.ok(error instanceof kind, `${error?.constructor?.name}: ${error?.message}`);
    return error;
  }
  assert.fail(`${JSON.stringify(answer)}, not ${kind.name}`);
}

/// A figure of the server.
export async function metric(name) {
  const text = await (await fetch(`${BASE}/metrics`, { headers: { Authorization: `Bearer ${KEY}` } })).text();
  return Number(text.split('\n').find((line) => line.startsWith(`${name} `)).split(' ').at(-1));
}

/// Waits until a figure of the server is what is wanted.
export async function comesTo(name, wantedFigure) {
  const end = Date.now() + 10_000;
  while ((await metric(name)) !== wantedFigure) {
    assert.ok(Date.now() < end, `${name} is ${await metric(name)}, not ${wantedFigure}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/// The version of a package that is installed beside the script.
function version(name) {
  const folders = createRequire(import.meta.url).resolve.paths(name);
  for (const folder of folders) {
    try {
      return JSON.parse(readFileSync(path.join(folder, name, 'package.json'), 'utf8')).version;
    } catch {
      // It is in a folder further up.
    }
  }
  return '';
}

async function attempt(run) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  try {
    return [true, (await Promise.race([run(), late])) ?? ''];
  } catch (error) {
    return [false, `${error?.constructor?.name}: ${error?.message}`.slice(0, 600)];
  } finally {
    clearTimeout(timer);
  }
}

/// Tries all features, or those that are named.
export async function main(client, packageName, features) {
  let nFailed = 0;
  for (const [feature, run] of Object.entries(features)) {
    if (wanted.length > 0 && !wanted.includes(feature)) continue;
    const [ok, note] = await attempt(run);
    if (!ok) nFailed += 1;
    console.log(JSON.stringify({ client, version: version(packageName), feature, ok, note: String(note) }));
  }
  process.exit(nFailed > 0 ? 1 : 0);
}
