// The AI SDK on top of OpenAI's and Anthropic's APIs: `args.provider` says which.

import { load, serve, told } from "./lines.mjs";

const ai = load("ai");
const { createOpenAI } = load("@ai-sdk/openai");
const { createAnthropic } = load("@ai-sdk/anthropic");
const { z } = load("zod");

const TOOLS = { get: ai.tool({ description: "Get it", inputSchema: z.object({ q: z.number() }) }) };

function asked({ base_url: baseURL, key: apiKey, options }, { provider, model, tools, ...args }) {
  const made = provider === "anthropic" ? createAnthropic({ baseURL, apiKey })(model) : createOpenAI({ baseURL, apiKey });
  const chosen = provider === "anthropic" ? made : provider === "openai chat" ? made.chat(model) : made.responses(model);
  const more = { ...(tools && { tools: TOOLS }), ...(options.max_retries === 0 && { maxRetries: 0 }) };
  return { model: chosen, ...more, ...args };
}

const toolOf = (calls) => (calls.length ? [calls[0].toolName, calls[0].input] : null);

const deeds = {
  async call(call, args) {
    const { text, toolCalls } = await ai.generateText(asked(call, args));
    return { shown: text, tool: toolOf(toolCalls) };
  },
  async stream(call, args) {
    let failure = null;
    const result = ai.streamText({ ...asked(call, args), onError: ({ error }) => (failure = error) });
    let shown = "";
    for await (const piece of result.textStream) shown += piece;
    if (failure) throw failure;
    return { shown, tool: toolOf(await result.toolCalls) };
  },
  async cancel(call, args) {
    const abort = new AbortController();
    const result = ai.streamText({ ...asked(call, args), abortSignal: abort.signal, onError: () => {} });
    let word = "";
    for await (const piece of result.textStream) {
      word = piece;
      if (word) break;
    }
    abort.abort();
    return { shown: word };
  },
};

function tell(error) {
  const last = error.lastError ?? error;
  if (!ai.APICallError.isInstance(last)) return null;
  return told(last, { status: last.statusCode, body: last.responseBody, headers: last.responseHeaders });
}

await serve("ai", deeds, (call) => call, tell);
