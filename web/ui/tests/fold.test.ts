import { describe, expect, it } from "vitest";
import { fold, nothing } from "../src/call/fold";
import type { CallEvent } from "../src/wire";
import { card, Script } from "./events";

const of = (...events: CallEvent[]) => events.reduce(fold, nothing);

describe("the fold of a call", () => {
  it("adds settled words to their line until the final replaces them", () => {
    const s = new Script();
    const growing = of(s.settled("u1", "prospect", 0, "the", "price"), s.settled("u1", "prospect", 0, "is", "high"));
    expect(growing.lines).toEqual([{ utterance: "u1", speaker: "prospect", start_ms: 0, end_ms: 380, text: "the price is high", final: false }]);
    const over = fold(growing, s.final("u1", "prospect", 0, "The price is too high."));
    expect(over.lines.map((l) => [l.text, l.final])).toEqual([["The price is too high.", true]]);
  });

  it("keeps the lines in the order in which they began", () => {
    const s = new Script();
    const call = of(s.final("late", "agent", 5_000, "Second."), s.final("early", "prospect", 1_000, "First."));
    expect(call.lines.map((l) => l.utterance)).toEqual(["early", "late"]);
  });

  it("drops a line whose final has no words", () => {
    const s = new Script();
    expect(of(s.settled("u1", "agent", 0, "uh"), s.final("u1", "agent", 0, "")).lines).toEqual([]);
  });

  it("changes a final line only by a revision", () => {
    const s = new Script();
    const call = of(s.final("u1", "agent", 0, "Done."), s.settled("u1", "agent", 0, "late"), s.at("transcript_revised", { utterance: "u1", text: "Done!" }));
    expect(call.lines[0]?.text).toBe("Done!");
  });

  it("ignores an event that it has seen", () => {
    const s = new Script();
    const first = s.final("u1", "agent", 0, "Once.");
    const call = of(first);
    expect(fold(call, first)).toBe(call);
  });

  it("refuses an event after a missing one", () => {
    const s = new Script();
    s.at("stage_changed", { stage: "discovery" });
    expect(() => of(s.at("stage_changed", { stage: "closing" }))).toThrow(RangeError);
  });

  it("refines a card in place", () => {
    const s = new Script();
    const call = of(s.card("a"), s.card("b"), s.at("suggestion_refined", { card: card("a", { say: "Better words." }) }));
    expect(call.cards.map((c) => [c.id, c.say])).toEqual([["a", "Better words."], ["b", "What number feels fair?"]]);
  });

  it("lets a thumb leave the card's state as it is", () => {
    const s = new Script();
    const call = of(s.card("a"), s.changed("a", "taken_back"), s.changed("a", "thumbs_down"));
    expect(call.cards[0]).toMatchObject({ state: "taken_back", changes: ["taken_back", "thumbs_down"] });
  });

  it("counts a card's milliseconds by the server's clock alone", () => {
    const s = new Script();
    expect(of(s.card("a", {}, { heard: 1_000.6 })).cards[0]?.took_ms).toBe(400);
    expect(of(new Script().card("b")).cards[0]?.took_ms).toBeNull();
  });

  it("clears a notice for its own side only", () => {
    const s = new Script();
    const call = of(
      s.at("notice_raised", { notice: "audio_lost", speaker: "agent", detail: "" }),
      s.at("notice_raised", { notice: "audio_lost", speaker: "prospect", detail: "" }),
      s.at("notice_cleared", { notice: "audio_lost", speaker: "agent" }),
    );
    expect(call.notices.map((n) => n.speaker)).toEqual(["prospect"]);
  });

  it("passes over an event type of a newer server", () => {
    const s = new Script();
    const call = of(s.at("brand_new" as CallEvent["type"]), s.final("u1", "agent", 0, "Still here."));
    expect(call.lines).toHaveLength(1);
  });
});
