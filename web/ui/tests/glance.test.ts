import { describe, expect, it } from "vitest";
import { fold, nothing, type ShownCard } from "../src/call/fold";
import { noticed, loudest, ask, away, bare, bring, caption, consentAsks, due, DWELL_MS, lay, sheetAsks } from "../src/overlay/glance";
import type { LaneState } from "../src/wire";
import { card, Script } from "./events";

const shown = (id: string, state: ShownCard["state"] = "shown"): ShownCard => ({ ...card(id), state, changes: [], took_ms: null });
const lane = (more: Partial<LaneState> = {}): LaneState => ({
  audio_ms: 60_000, open: {}, utterance: {}, level: {}, talk_share: null, pace_wpm: null, partials_thinned: false, ...more,
});

describe("the desk", () => {
  it("shows the first card at once", () => {
    expect(lay(bare, [shown("a")], 100)).toMatchObject({ standing: "a", since: 100 });
  });

  it("lets a newer card wait until the standing one has had its time", () => {
    const cards = [shown("a"), shown("b")];
    const early = lay(lay(bare, cards.slice(0, 1), 0), cards, 1_000);
    expect(early).toMatchObject({ standing: "a", waiting: ["b"] });
    expect(due(early, 1_000)).toBe(DWELL_MS - 1_000);
    expect(lay(early, cards, DWELL_MS)).toMatchObject({ standing: "b", waiting: [], folded: ["a"] });
  });

  it("takes the newest of those that wait", () => {
    const first = lay(bare, [shown("a")], 0);
    const cards = [shown("a"), shown("b"), shown("c")];
    expect(lay(lay(first, cards, 10), cards, DWELL_MS)).toMatchObject({ standing: "c", folded: ["a", "b"] });
  });

  it("leaves a card that was taken back standing, for nothing else waits", () => {
    expect(lay(lay(bare, [shown("a")], 0), [shown("a", "taken_back")], 500).standing).toBe("a");
  });

  it("gives the place of a card that was taken back to the one that waits", () => {
    const two = lay(lay(bare, [shown("a")], 0), [shown("a"), shown("b")], 100);
    expect(lay(two, [shown("a", "taken_back"), shown("b")], 200).standing).toBe("b");
  });

  it("clears the place of a dismissed card", () => {
    expect(lay(lay(bare, [shown("a")], 0), [shown("a", "dismissed")], 500)).toMatchObject({ standing: null, folded: ["a"] });
  });

  it("never brings up a card that expired while it waited", () => {
    const two = lay(lay(bare, [shown("a")], 0), [shown("a"), shown("b")], 100);
    expect(lay(two, [shown("a"), shown("b", "expired")], DWELL_MS)).toMatchObject({ standing: "a", waiting: [], folded: ["b"] });
  });

  it("stays the very same object when nothing changed", () => {
    const desk = lay(bare, [shown("a")], 0);
    expect(lay(desk, [shown("a")], 50)).toBe(desk);
  });

  it("brings an earlier card back when the agent asks for it", () => {
    const desk = { standing: "b", since: 0, waiting: [], folded: ["a"], byHand: false };
    expect(bring(desk, "a", 900)).toEqual({ standing: "a", since: 900, waiting: [], folded: ["b"], byHand: true });
  });

  it("keeps a card dismissed earlier standing once it is brought back", () => {
    const cards = [shown("a", "dismissed")];
    const desk = lay(lay(bare, [shown("a")], 0), cards, 10);
    expect(lay(bring(desk, "a", 20), cards, 30).standing).toBe("a");
  });

  it("is clear after the agent put a card away that was brought back", () => {
    const cards = [shown("a", "dismissed")];
    expect(lay(away(bring(bare, "a", 0)), cards, 10)).toMatchObject({ standing: null, folded: ["a"] });
  });
});

describe("captions", () => {
  const s = new Script();
  const call = [s.settled("u1", "prospect", 0, "it", "is")].reduce(fold, nothing);

  it("tell the settled words from the open tail", () => {
    const now = caption(call.lines, lane({ open: { prospect: "too high" }, utterance: { prospect: "u1" } }), "prospect");
    expect(now).toEqual({ settled: "it is", open: "too high" });
  });

  it("begin anew with a new utterance", () => {
    expect(caption(call.lines, lane({ open: { prospect: "and" }, utterance: { prospect: "u2" } }), "prospect")).toEqual({ settled: "", open: "and" });
  });

  it("show no stale tail behind a final", () => {
    const over = fold(call, s.final("u1", "prospect", 0, "It is too high."));
    expect(caption(over.lines, lane({ open: { prospect: "too high" }, utterance: { prospect: "u1" } }), "prospect").open).toBe("");
  });
});

describe("what asks for a look", () => {
  const calm = { share: false, pace: false };

  it("is silent in the first 45 seconds", () => {
    expect(ask(calm, lane({ audio_ms: 20_000, talk_share: 0.9 }))).toEqual(calm);
  });

  it("goes only when the share is well below the line at which it came", () => {
    const loud = ask(calm, lane({ talk_share: 0.7 }));
    expect(loud.share).toBe(true);
    expect(ask(loud, lane({ talk_share: 0.62 })).share).toBe(true);
    expect(ask(loud, lane({ talk_share: 0.5 })).share).toBe(false);
  });

  it("is the sheet only with a question about what is missing", () => {
    expect(sheetAsks({ ...shown("a"), moment: "missing_question" })).toBe(true);
    expect(sheetAsks(shown("a"))).toBe(false);
  });

  it("is the consent sentence while nobody is listened to, not after a no", () => {
    const with_ = (state: string, transcribe: boolean) =>
      fold(nothing, new Script().at("consent_changed", { state, transcribe, record: false, claude: false, agent_only: false, by: "", rule: "" }));
    expect(consentAsks(with_("unknown", false))).toBe(true);
    expect(consentAsks(with_("unknown", true))).toBe(false);
    expect(consentAsks(with_("refused", false))).toBe(false);
  });
});

const raised = (notice: string) => ({ notice, speaker: null, detail: "" });

it("the line for notices says lost sound before slow captions, and leaves \"not listening\" to the head", () => {
  expect(loudest([raised("recogniser_slow"), raised("audio_lost"), raised("not_listening")])?.notice).toBe("audio_lost");
  expect(loudest([raised("not_listening")])).toBeUndefined();
  expect(loudest([raised("something_new"), raised("recogniser_slow")])?.notice).toBe("recogniser_slow");
});

it("says that captions come in larger steps where nothing else is wrong", () => {
  expect(noticed([], lane())).toBe("");
  expect(noticed([], lane({ partials_thinned: true }))).toContain("larger steps");
  expect(noticed([raised("audio_lost")], lane({ partials_thinned: true }))).toContain("No sound");
});
