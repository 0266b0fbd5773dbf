import type { CallEvent, LaneState, Speaker } from "../wire";
import { Rehearsal } from "./rehearsal";
import { fetched } from "./sample";

interface Clip { file: string }

/** The seller of the practice: clips played aloud and sent as the prospect's track, each after the agent's answer to the one before. */
export class Seller {
  readonly track: MediaStreamTrack;
  readonly #out: MediaStreamAudioDestinationNode;
  readonly #rehearsal: Rehearsal;
  #timer: ReturnType<typeof setInterval> | undefined;
  #over!: () => void;
  readonly ended = new Promise<void>((resolve) => (this.#over = resolve));

  private constructor(private readonly audio: AudioContext, private readonly clips: AudioBuffer[]) {
    this.#out = new MediaStreamAudioDestinationNode(audio, { channelCount: 1 });
    // Between the clips the seller is silent, not gone: a graph without a source would send no packets at all.
    const silence = new ConstantSourceNode(audio, { offset: 0 });
    silence.connect(this.#out);
    silence.start();
    this.track = this.#out.stream.getAudioTracks()[0] as MediaStreamTrack;
    this.#rehearsal = new Rehearsal(clips.length);
  }

  static async of(audio: AudioContext, folder = "/sample/practice/"): Promise<Seller> {
    const reply = await fetch(`${folder}practice.json`);
    if (!reply.ok) throw new Error("The practice seller is missing on the server.");
    const clips = (await reply.json()) as Clip[];
    return new Seller(audio, await Promise.all(clips.map(({ file }) => fetched(audio, folder + file))));
  }

  tracks(microphone: MediaStreamTrack): [Speaker, MediaStreamTrack][] {
    return [["agent", microphone], ["prospect", this.track]];
  }

  start(): void {
    this.#timer = setInterval(() => {
      const due = this.#rehearsal.due(performance.now());
      if (due !== null) this.#speak(due);
      else if (this.#rehearsal.over) this.#over();
    }, 100);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  event(event: CallEvent): void {
    this.#rehearsal.event(event, performance.now());
  }

  state(state: LaneState): void {
    this.#rehearsal.state(state, performance.now());
  }

  #speak(index: number): void {
    const source = new AudioBufferSourceNode(this.audio, { buffer: this.clips[index] ?? null });
    source.connect(this.#out);
    source.connect(this.audio.destination);
    source.onended = () => this.#rehearsal.played(performance.now());
    source.start();
  }
}
