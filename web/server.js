// The way to the server: every request of the page goes through here, to this origin and nowhere else. Where a key is
// wanted, the person is asked and the request is made again.

import { askForKey, currentKey } from "./key.js";
import { ServerError } from "./problem.js";
import { eventsOf } from "./stream.js";

const LONGEST_ERROR = 64 * 1024;

/** What the server says to a GET, as JSON. */
export async function get(path) {
  return (await request(path, {})).json();
}

/** The chunks of a chat, one by one, until the server says that it is done. */
export async function* chat(body, signal) {
  const response = await request("/v1/chat/completions", {
    method: "POST", body: JSON.stringify(body), signal, headers: { "content-type": "application/json", accept: "text/event-stream" },
  });
  try {
    for await (const data of eventsOf(response.body)) {
      if (data === "[DONE]") return;
      yield read(data);
    }
  } catch (error) {
    // Only a broken connection is a TypeError here; being stopped and what the server says go on as they are.
    if (!(error instanceof TypeError)) throw error;
  }
  throw new ServerError("The connection ended before the answer did.", "What has come so far is kept. Try again.", 0);
}

function read(data) {
  try {
    return JSON.parse(data);
  } catch {
    throw new ServerError("The server sent something that the page cannot read.", data.slice(0, 200), 0);
  }
}

async function request(path, options) {
  for (;;) {
    const key = currentKey();
    const headers = { ...options.headers, ...(key ? { authorization: `Bearer ${key}` } : {}) };
    const response = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" }).catch((error) => {
      throw error.name === "AbortError" ? error : ServerError.unreachable();
    });
    if (response.ok) return response;
    const error = ServerError.from(await bodyOf(response), response.status);
    const isAsked = response.status === 401 && (await askForKey(error, key));
    if (!isAsked) throw error;
    options.signal?.throwIfAborted();
  }
}

async function bodyOf(response) {
  try {
    return JSON.parse((await response.text()).slice(0, LONGEST_ERROR));
  } catch {
    return null;
  }
}
