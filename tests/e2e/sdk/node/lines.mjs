// How an SDK's program speaks: a line of JSON in is a call, a line out its result. The twin of `python/lines.py`.
// `fetch` is wrapped before an SDK is loaded, so what leaves is noted, below retries.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [packages] = process.argv.slice(2);
export const load = createRequire(packages + "/");

const ADDED_BY_FETCH = [["accept-language", "*"], ["sec-fetch-mode", "cors"]];
const plain = globalThis.fetch;
let sent = [];

globalThis.fetch = async (url, init) => {
  const { pathname, search } = new URL(typeof url === "object" && "url" in url ? url.url : url);
  const { body } = init ?? {};
  const known = typeof body === "string" || body instanceof Uint8Array ? Buffer.from(body).toString("base64") : "";
  sent.push({ target: pathname + search, headers: [...new Headers(init?.headers), ...ADDED_BY_FETCH], body: known });
  return plain(url, init);
};

export const of = (response) => Object.fromEntries(response.headers);

// What stands for sound or a picture in a result.
export function digest(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

export async function gathered(stream) {
  const parts = [];
  for await (const part of stream) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

export const bytesOf = (text) => Buffer.from(text, "base64");

export function classesOf(error) {
  const classes = [];
  for (let at = Object.getPrototypeOf(error); at; at = Object.getPrototypeOf(at)) classes.push(at.constructor.name);
  return classes;
}

export function told(error, { status, body, headers }) {
  return { classes: classesOf(error), status, body: body ?? null, message: error.message, headers: headers ?? {} };
}

export function toldByStainless(error) {
  const headers = error.headers ? Object.fromEntries(error.headers) : {};
  return told(error, { status: error.status ?? null, body: error.error, headers });
}

// Does what the lines say. `tell` reports an error of the SDK's own, and knows no other.
export async function serve(name, deeds, connect, tell) {
  const { version } = JSON.parse(readFileSync(`${packages}/node_modules/${name}/package.json`));
  console.log(JSON.stringify({ version }));
  for await (const line of createInterface({ input: process.stdin })) {
    const call = JSON.parse(line);
    sent = [];
    let result;
    try {
      result = await deeds[call.deed](connect(call), call.args);
    } catch (error) {
      const toldError = tell(error);
      if (!toldError) throw error;
      result = { error: toldError };
    }
    console.log(JSON.stringify({ ...result, sent }));
  }
}
