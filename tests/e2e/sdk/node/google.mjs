// Google's SDK.

import { bytesOf, digest, load, serve, told } from "./lines.mjs";

const { ApiError, GoogleGenAI } = load("@google/genai");

function textOf(answer) {
  const parts = answer.candidates?.[0]?.content?.parts ?? [];
  return parts.map((part) => (part.thought ? "" : (part.text ?? ""))).join("");
}

function toolOf(answer) {
  const call = answer.functionCalls?.[0];
  return call ? [call.name, call.args] : null;
}

async function made(client, args) {
  const answer = await client.models.generateContent(args);
  return { shown: digest(bytesOf(answer.candidates[0].content.parts[0].inlineData.data)) };
}

const deeds = {
  async call(client, args) {
    const answer = await client.models.generateContent(args);
    return { shown: textOf(answer), tool: toolOf(answer) };
  },
  async stream(client, args) {
    let shown = "";
    let tool = null;
    for await (const chunk of await client.models.generateContentStream(args)) {
      shown += textOf(chunk);
      tool ??= toolOf(chunk);
    }
    return { shown, tool };
  },
  async cancel(client, args) {
    const abort = new AbortController();
    const config = { ...args.config, abortSignal: abort.signal };
    const stream = await client.models.generateContentStream({ ...args, config });
    const { value } = await stream.next();
    abort.abort();
    return { shown: textOf(value) };
  },
  async embed(client, args) {
    return { shown: (await client.models.embedContent(args)).embeddings[0].values };
  },
  async count(client, args) {
    return { shown: (await client.models.countTokens(args)).totalTokens };
  },
  image: made,
  speech: made,
};

const connect = ({ base_url: baseUrl, key: apiKey }) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl } });
const tell = (error) => error instanceof ApiError && told(error, { status: error.status, body: error.message });

await serve("@google/genai", deeds, connect, tell);
