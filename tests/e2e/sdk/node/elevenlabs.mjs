// ElevenLabs' SDK.

import { bytesOf, digest, gathered, load, serve, told } from "./lines.mjs";

const { ElevenLabsClient, ElevenLabsError } = load("@elevenlabs/elevenlabs-js");

const deeds = {
  async call(client, { voice_id, ...args }) {
    return { shown: digest(await gathered(await client.textToSpeech.convert(voice_id, args))) };
  },
  async stream(client, { voice_id, ...args }) {
    return { shown: digest(await gathered(await client.textToSpeech.stream(voice_id, args))) };
  },
  async timed(client, { voice_id, ...args }) {
    const answer = await client.textToSpeech.convertWithTimestamps(voice_id, args);
    return { shown: answer.alignment.characters.join("") };
  },
  async cancel(client, { voice_id, ...args }) {
    const reader = (await client.textToSpeech.stream(voice_id, args)).getReader();
    const { value } = await reader.read();
    await reader.cancel();
    return { shown: value.length };
  },
  async transcribe(client, { model_id: modelId, file }) {
    const sound = new File([bytesOf(file)], "sound.wav", { type: "audio/wav" });
    return { shown: (await client.speechToText.convert({ modelId, file: sound })).text };
  },
};

const connect = ({ base_url: baseUrl, key: apiKey }) => new ElevenLabsClient({ apiKey, baseUrl });
const tell = (error) => error instanceof ElevenLabsError && told(error, { status: error.statusCode, body: error.body });

await serve("@elevenlabs/elevenlabs-js", deeds, connect, tell);
