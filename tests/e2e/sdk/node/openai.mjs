// OpenAI's SDK, for OpenAI and for those who say to use it.

import { bytesOf, digest, gathered, load, of, serve, toldByStainless } from "./lines.mjs";

const sdk = load("openai");

function toolOf(calls) {
  return calls?.length ? [calls[0].function.name, JSON.parse(calls[0].function.arguments)] : null;
}

const audio = async (args) => ({ ...args, file: await sdk.toFile(bytesOf(args.file), "sound.wav", { type: "audio/wav" }) });

function summedUp(response) {
  const call = response.output.find((item) => item.type === "function_call");
  return { shown: response.output_text, tool: call ? [call.name, JSON.parse(call.arguments)] : null };
}

const deeds = {
  async create(client, args) {
    const { data, response } = await client.chat.completions.create(args).withResponse();
    const message = data.choices?.[0].message;
    return { answer: data, shown: message?.content ?? "", tool: toolOf(message?.tool_calls), headers: of(response) };
  },
  async stream(client, args) {
    const { data, response } = await client.chat.completions.create({ ...args, stream: true }).withResponse();
    const chunks = [];
    for await (const chunk of data) chunks.push(chunk);
    const deltas = chunks.flatMap((chunk) => chunk.choices.map((choice) => choice.delta));
    const pieces = deltas.flatMap((delta) => delta.tool_calls ?? []);
    const text = pieces.map((piece) => piece.function.arguments ?? "").join("");
    const tool = pieces.length ? [pieces[0].function.name, JSON.parse(text)] : null;
    return { chunks, shown: deltas.map((delta) => delta.content ?? "").join(""), tool, headers: of(response) };
  },
  async cancel(client, args) {
    const { data, response } = await client.chat.completions.create({ ...args, stream: true }).withResponse();
    let word = "";
    for await (const chunk of data) {
      word = chunk.choices[0]?.delta.content ?? "";
      if (word) break;
    }
    data.controller.abort();
    return { word, shown: word, headers: of(response) };
  },
  async models(client, args) {
    const models = [];
    for await (const model of client.models.list()) models.push(model.id);
    return { models, found: (await client.models.retrieve(args.model)).id };
  },
  async respond(client, args) {
    return summedUp(await client.responses.create(args));
  },
  async respond_stream(client, args) {
    const stream = client.responses.stream(args);
    const kinds = [];
    for await (const event of stream) kinds.push(event.type);
    return { ...summedUp(await stream.finalResponse()), kinds };
  },
  async respond_cancel(client, args) {
    const stream = await client.responses.create({ ...args, stream: true });
    let word = "";
    for await (const event of stream) {
      word = event.type === "response.output_text.delta" ? event.delta : "";
      if (word) break;
    }
    stream.controller.abort();
    return { shown: word };
  },
  async embed(client, args) {
    return { shown: (await client.embeddings.create(args)).data[0].embedding };
  },
  async image(client, args) {
    return { shown: digest(bytesOf((await client.images.generate(args)).data[0].b64_json)) };
  },
  async edit(client, args) {
    const image = await sdk.toFile(bytesOf(args.image), "picture.png", { type: "image/png" });
    return { shown: digest(bytesOf((await client.images.edit({ ...args, image })).data[0].b64_json)) };
  },
  async speech(client, args) {
    return { shown: digest(Buffer.from(await (await client.audio.speech.create(args)).arrayBuffer())) };
  },
  async speech_stream(client, args) {
    return { shown: digest(await gathered((await client.audio.speech.create(args)).body)) };
  },
  async speech_cancel(client, args) {
    const reader = (await client.audio.speech.create(args)).body.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    return { shown: value.length };
  },
  async transcribe(client, args) {
    const answer = await client.audio.transcriptions.create(await audio(args));
    return { shown: typeof answer === "string" ? answer : answer.text };
  },
  async transcribe_stream(client, args) {
    const stream = await client.audio.transcriptions.create({ ...(await audio(args)), stream: true });
    let shown = "";
    for await (const event of stream) if (event.type === "transcript.text.delta") shown += event.delta;
    return { shown };
  },
};

function connect({ base_url: baseURL, key: apiKey, options }) {
  return new sdk.default({ baseURL, apiKey, ...(options.max_retries === 0 && { maxRetries: 0 }) });
}

await serve("openai", deeds, connect, (error) => error instanceof sdk.APIError && toldByStainless(error));
