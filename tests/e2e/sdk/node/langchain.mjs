// LangChain on top of OpenAI's and Anthropic's APIs: `args.provider` says which.

import { load, serve, toldByStainless } from "./lines.mjs";

const { ChatOpenAI } = load("@langchain/openai");
const { ChatAnthropic } = load("@langchain/anthropic");

const GET = {
  name: "get",
  description: "Get it",
  schema: { type: "object", properties: { q: { type: "integer" } } },
};

function chat({ base_url: baseURL, key: apiKey, options }, { provider, model, max_tokens: maxTokens, tools }) {
  const retries = options.max_retries === 0 && { maxRetries: 0 };
  const common = { model, apiKey, maxTokens, ...retries };
  const made =
    provider === "anthropic"
      ? new ChatAnthropic({ ...common, anthropicApiUrl: baseURL })
      : new ChatOpenAI({ ...common, configuration: { baseURL } });
  return tools ? made.bindTools([GET]) : made;
}

const textOf = (content) =>
  typeof content === "string" ? content : content.map((part) => (part.type === "text" ? part.text : "")).join("");
const toolOf = (calls) => (calls?.length ? [calls[0].name, calls[0].args] : null);

const deeds = {
  async call(call, args) {
    const answer = await chat(call, args).invoke(args.prompt);
    return { shown: textOf(answer.content), tool: toolOf(answer.tool_calls) };
  },
  async stream(call, args) {
    let whole;
    for await (const chunk of await chat(call, args).stream(args.prompt)) whole = whole ? whole.concat(chunk) : chunk;
    return { shown: textOf(whole.content), tool: toolOf(whole.tool_calls) };
  },
  async cancel(call, args) {
    const abort = new AbortController();
    let word = "";
    for await (const chunk of await chat(call, args).stream(args.prompt, { signal: abort.signal })) {
      word = textOf(chunk.content);
      if (word) break;
    }
    abort.abort();
    return { shown: word };
  },
};

const tell = (error) => (error.status !== undefined || error.lc_error_code ? toldByStainless(error) : null);

await serve("@langchain/openai", deeds, (call) => call, tell);
