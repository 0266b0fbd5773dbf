import type { CallEvent, Card } from "../src/wire";

/** A call written as a screenplay: each line is an event, numbered as the log does. */
export class Script {
  #n = 0;
  at(type: CallEvent["type"], fields: Record<string, unknown> = {}): CallEvent {
    this.#n += 1;
    return { call: "c1", n: this.#n, at: 1_000 + this.#n, v: 1, audio_ms: null, stamps: {}, type, ...fields } as unknown as CallEvent;
  }
  settled(utterance: string, speaker: "agent" | "prospect", start_ms: number, ...words: string[]): CallEvent {
    return this.at("words_settled", { utterance, speaker, start_ms, words: words.map((text, i) => ({ text, start_ms: start_ms + i * 200, end_ms: start_ms + i * 200 + 180, probability: 0.9 })) });
  }
  final(utterance: string, speaker: "agent" | "prospect", start_ms: number, text: string): CallEvent {
    return this.at("utterance_final", { utterance, speaker, start_ms, end_ms: start_ms + 1_000, text, words: [] });
  }
  card(id: string, more: Partial<Card> = {}, stamps: Record<string, number> = {}): CallEvent {
    return this.at("suggestion_shown", { stamps, card: card(id, more) });
  }
  changed(id: string, change: string): CallEvent {
    return this.at("suggestion_changed", { card: id, change, why: "" });
  }
}

export const card = (id: string, more: Partial<Card> = {}): Card => ({
  id, moment: "objection", kind: "objection_response", label: "price", title: "Price", say: "What number feels fair?", why: "", quote: "", quote_speaker: null,
  quote_ms: null, source: "playbook", rule: "", tier: "local", confidence: 0.8, finding: "", utterance: "", expires_ms: null, ...more,
});
