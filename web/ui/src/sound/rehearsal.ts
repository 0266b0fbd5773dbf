import type { CallEvent, LaneState } from "../wire";

/** Silence after the agent's answer before the seller goes on, and how long the seller waits for an answer at all. */
export const ANSWERED_MS = 1_100;
export const PATIENCE_MS = 30_000;

/** When the seller speaks. Pure: told of events and of time, it says when the next clip is due. */
export class Rehearsal {
  #next = 0;
  #speaking = false;
  #quietSince = 0;
  #answeredAt: number | null = null;

  constructor(private readonly clips: number) {}

  get over(): boolean {
    return this.#next >= this.clips && !this.#speaking && this.#answeredAt !== null;
  }

  /** A clip has been played to its end at `now` (ms). */
  played(now: number): void {
    this.#speaking = false;
    this.#quietSince = now;
    this.#answeredAt = null;
  }

  event(event: CallEvent, now: number): void {
    if (event.type === "utterance_final" && event.speaker === "agent" && event.text && !this.#speaking) this.#answeredAt = now;
  }

  state(state: LaneState, now: number): void {
    // The agent is in the middle of a sentence: whatever was final is not the whole answer.
    if (state.open.agent && this.#answeredAt !== null) this.#answeredAt = now;
  }

  /** The clip that is due at `now`, or null. */
  due(now: number): number | null {
    if (this.#speaking || this.#next >= this.clips) return null;
    const first = this.#next === 0;
    const answered = this.#answeredAt !== null && now - this.#answeredAt >= ANSWERED_MS;
    const impatient = this.#answeredAt === null && now - this.#quietSince >= PATIENCE_MS;
    if (!first && !answered && !impatient) return null;
    this.#speaking = true;
    return this.#next++;
  }
}
