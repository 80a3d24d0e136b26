// Anthropic's SDK.

import { load, of, serve, toldByStainless } from "./lines.mjs";

const sdk = load("@anthropic-ai/sdk");

const messages = (client, args) => ("betas" in args ? client.beta.messages : client.messages);

function summedUp(answer) {
  const call = answer.content.find((block) => block.type === "tool_use");
  const shown = answer.content.map((block) => (block.type === "text" ? block.text : "")).join("");
  return { answer, shown, tool: call ? [call.name, call.input] : null };
}

const deeds = {
  async create(client, args) {
    const { data, response } = await messages(client, args).create(args).withResponse();
    return { ...summedUp(data), headers: of(response) };
  },
  async stream(client, args) {
    const stream = messages(client, args).stream(args);
    const kinds = [];
    for await (const event of stream) kinds.push(event.type);
    const { response } = await stream.withResponse();
    return { ...summedUp(await stream.finalMessage()), kinds, headers: of(response) };
  },
  async cancel(client, args) {
    const { data, response } = await client.messages.create({ ...args, stream: true }).withResponse();
    let word = "";
    for await (const event of data) {
      word = event.delta?.text ?? "";
      if (word) break;
    }
    data.controller.abort();
    return { word, shown: word, headers: of(response) };
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

function connect({ base_url: baseURL, key: apiKey, options }) {
  return new sdk.default({ baseURL, apiKey, ...(options.max_retries === 0 && { maxRetries: 0 }) });
}

await serve("@anthropic-ai/sdk", deeds, connect, (error) => error instanceof sdk.APIError && toldByStainless(error));
