import { expect, test } from "vitest";
import { rows } from "../src/call/rows";
import type { Line } from "../src/wire";

const line = (utterance: string, start_ms: number): Line => ({ utterance, speaker: "agent", start_ms, end_ms: start_ms + 500, text: utterance, final: true });
const gap = (start_ms: number, end_ms: number) => ({ start_ms, end_ms, why: "away" });

test("a gap stands between the lines around it", () => {
  expect(rows([line("a", 0), line("b", 9_000)], [gap(2_000, 8_000)]).map((r) => r.line?.utterance ?? "gap")).toEqual(["a", "gap", "b"]);
});

test("a gap that both sides share is said once, as long as the longer", () => {
  const found = rows([], [gap(2_000, 8_000), gap(2_000, 9_000), gap(20_000, 21_000)]);
  expect(found.map((r) => r.gap)).toEqual([gap(2_000, 9_000), gap(20_000, 21_000)]);
});
