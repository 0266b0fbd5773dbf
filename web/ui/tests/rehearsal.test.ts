import { describe, expect, it } from "vitest";
import { pause } from "../src/call/viewer";
import { ANSWERED_MS, PATIENCE_MS, Rehearsal } from "../src/sound/rehearsal";
import type { LaneState } from "../src/wire";
import { Script } from "./events";

const answer = (text = "Because I sell it for more.") => new Script().final("u", "agent", 0, text);
const speaking = { open: { agent: "and" } } as LaneState;

describe("the practice seller", () => {
  it("speaks first", () => {
    expect(new Rehearsal(2).due(0)).toBe(0);
  });

  it("waits for the answer and a moment of silence", () => {
    const seller = new Rehearsal(2);
    seller.due(0);
    seller.played(5_000);
    expect(seller.due(8_000)).toBeNull();
    seller.event(answer(), 9_000);
    expect(seller.due(9_000 + ANSWERED_MS - 1)).toBeNull();
    expect(seller.due(9_000 + ANSWERED_MS)).toBe(1);
  });

  it("lets the agent finish an answer of several sentences", () => {
    const seller = new Rehearsal(2);
    seller.due(0);
    seller.played(5_000);
    seller.event(answer(), 9_000);
    seller.state(speaking, 10_000);
    expect(seller.due(9_000 + ANSWERED_MS)).toBeNull();
  });

  it("takes nothing that was said under the clip for an answer", () => {
    const seller = new Rehearsal(2);
    seller.due(0);
    seller.event(answer(), 1_000);
    seller.played(5_000);
    expect(seller.due(5_000 + ANSWERED_MS)).toBeNull();
  });

  it("goes on by itself when no answer comes", () => {
    const seller = new Rehearsal(2);
    seller.due(0);
    seller.played(5_000);
    expect(seller.due(5_000 + PATIENCE_MS)).toBe(1);
  });

  it("is over after the answer to the last clip", () => {
    const seller = new Rehearsal(1);
    seller.due(0);
    seller.played(5_000);
    expect(seller.over).toBe(false);
    seller.event(answer(), 9_000);
    expect(seller.over).toBe(true);
  });
});

describe("the pause before a viewer comes back", () => {
  it("doubles and stays at four seconds", () => {
    expect([0, 1, 2, 9].map((n) => pause(n, () => 0))).toEqual([250, 500, 1_000, 4_000]);
  });
});
