// Runs one vendor's Node SDK: a line of JSON in is a call, a line out its result. The twin of `drive.py`.
// The SDK's own fetch is used, with a wrapper that notes what leaves.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [vendor, packages] = process.argv.slice(2);
const require = createRequire(packages + "/");
const name = vendor === "anthropic" ? "@anthropic-ai/sdk" : "openai";
const sdk = require(name);
const isAnthropic = vendor === "anthropic";

const ADDED_BY_FETCH = [["accept-language", "*"], ["sec-fetch-mode", "cors"]];

function connect(call, sent) {
  const noting = async (url, init) => {
    const { pathname, search } = new URL(url);
    const body = Buffer.from(await new Response(init.body).arrayBuffer()).toString("base64");
    sent.push({ target: pathname + search, headers: [...new Headers(init.headers), ...ADDED_BY_FETCH], body });
    return fetch(url, init);
  };
  const { max_retries: maxRetries } = call.options ?? {};
  const options = { baseURL: call.base_url, apiKey: call.key, fetch: noting };
  return new sdk.default(maxRetries === undefined ? options : { ...options, maxRetries });
}

const of = (response) => Object.fromEntries(response.headers);
const messages = (client, args) => ("betas" in args ? client.beta.messages : client.messages);

const deeds = {
  async create(client, args) {
    const api = isAnthropic ? messages(client, args) : client.chat.completions;
    const { data, response } = await api.create(args).withResponse();
    return { answer: data, headers: of(response) };
  },
  async stream(client, args) {
    if (isAnthropic) {
      const stream = messages(client, args).stream(args);
      const kinds = [];
      for await (const event of stream) kinds.push(event.type);
      const { response } = await stream.withResponse();
      return { answer: await stream.finalMessage(), kinds, headers: of(response) };
    }
    const { data, response } = await client.chat.completions.create({ ...args, stream: true }).withResponse();
    const chunks = [];
    for await (const chunk of data) chunks.push(chunk);
    return { chunks, headers: of(response) };
  },
  async cancel(client, args) {
    const api = isAnthropic ? client.messages : client.chat.completions;
    const { data, response } = await api.create({ ...args, stream: true }).withResponse();
    let word = "";
    for await (const event of data) {
      word = (isAnthropic ? event.delta?.text : event.choices[0]?.delta.content) ?? "";
      if (word) break;
    }
    data.controller.abort();
    return { word, headers: of(response) };
  },
  async count(client, args) {
    return { input_tokens: (await client.messages.countTokens(args)).input_tokens };
  },
  async models(client, args) {
    const models = [];
    for await (const model of client.models.list()) models.push(model.id);
    return { models, found: (await client.models.retrieve(args.model)).id };
  },
};

function told(error) {
  const classes = [];
  for (let at = Object.getPrototypeOf(error); at; at = Object.getPrototypeOf(at)) classes.push(at.constructor.name);
  const headers = error.headers ? Object.fromEntries(error.headers) : {};
  return { classes, status: error.status ?? null, body: error.error ?? null, message: error.message, headers };
}

const { version } = JSON.parse(readFileSync(`${packages}/node_modules/${name}/package.json`));
console.log(JSON.stringify({ version }));
for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line);
  const sent = [];
  let result;
  try {
    result = await deeds[call.deed](connect(call, sent), call.args);
  } catch (error) {
    if (!(error instanceof sdk.APIError)) throw error;
    result = { error: told(error) };
  }
  console.log(JSON.stringify({ ...result, sent }));
}
