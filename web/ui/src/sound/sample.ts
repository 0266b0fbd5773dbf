import type { Speaker } from "../wire";

export interface Playing {
  tracks: [Speaker, MediaStreamTrack][];
  start(): void;
  stop(): void;
  readonly ended: Promise<void>;
}

/** Fetches and decodes sound. Raises with a sentence when it cannot be had. */
export async function fetched(audio: AudioContext, path: string): Promise<AudioBuffer> {
  const reply = await fetch(path);
  if (!reply.ok) throw new Error("The sample's sound is missing on the server.");
  return audio.decodeAudioData(await reply.arrayBuffer());
}

/** The sample call: left is the agent, right the prospect. Both are heard aloud, and each is a live track as a microphone's would be. */
export async function sampleCall(audio: AudioContext, path = "/sample/call.flac"): Promise<Playing> {
  const buffer = await fetched(audio, path);
  const source = new AudioBufferSourceNode(audio, { buffer });
  const split = new ChannelSplitterNode(audio, { numberOfOutputs: 2 });
  const sides: Speaker[] = ["agent", "prospect"];
  source.connect(split);
  const tracks = sides.map((speaker, channel): [Speaker, MediaStreamTrack] => {
    const out = new MediaStreamAudioDestinationNode(audio, { channelCount: 1 });
    split.connect(out, channel);
    // Aloud, a little apart: two people at one table rather than one in each ear.
    const pan = new StereoPannerNode(audio, { pan: channel === 0 ? -0.35 : 0.35 });
    split.connect(pan, channel).connect(audio.destination);
    return [speaker, out.stream.getAudioTracks()[0] as MediaStreamTrack];
  });
  let over: () => void;
  const ended = new Promise<void>((resolve) => (over = resolve));
  source.onended = () => over();
  return { tracks, start: () => source.start(), stop: () => source.stop(), ended };
}
