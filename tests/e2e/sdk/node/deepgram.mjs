// Deepgram's SDK.

import { bytesOf, digest, gathered, load, serve, told } from "./lines.mjs";

const { DeepgramClient, DeepgramError } = load("@deepgram/sdk");

const shownOf = (answer) => ({ shown: answer.results.channels[0].alternatives[0].transcript });

const deeds = {
  async transcribe(client, { request, ...args }) {
    return shownOf(await client.listen.v1.media.transcribeFile(bytesOf(request), args));
  },
  async transcribe_url(client, args) {
    return shownOf(await client.listen.v1.media.transcribeUrl(args));
  },
  async speech(client, args) {
    const answer = await client.speak.v1.audio.generate(args);
    return { shown: digest(await gathered(answer.stream())) };
  },
  async cancel(client, args) {
    const answer = await client.speak.v1.audio.generate(args);
    const reader = answer.stream().getReader();
    const { value } = await reader.read();
    await reader.cancel();
    return { shown: value.length };
  },
};

function connect({ base_url: base, key: apiKey }) {
  const live = base.replace("http", "ws");
  return new DeepgramClient({ apiKey, environment: { base, production: live, agent: live, agentRest: base } });
}
const tell = (error) => error instanceof DeepgramError && told(error, { status: error.statusCode, body: error.body });

await serve("@deepgram/sdk", deeds, connect, tell);
