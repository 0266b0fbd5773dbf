import type { Gap, Line } from "../wire";

export type Row = { at: number; line: Line; gap: null } | { at: number; line: null; gap: Gap };

/** Lines and gaps in the order of the talk. A gap that both sides share stands there once, as long as the longer of the two. */
export function rows(lines: readonly Line[], gaps: readonly Gap[]): Row[] {
  const merged: Gap[] = [];
  for (const gap of [...gaps].sort((a, b) => a.start_ms - b.start_ms)) {
    const last = merged.at(-1);
    if (last !== undefined && gap.start_ms <= last.end_ms) merged[merged.length - 1] = { ...last, end_ms: Math.max(last.end_ms, gap.end_ms) };
    else merged.push(gap);
  }
  return [
    ...lines.map((line): Row => ({ at: line.start_ms, line, gap: null })),
    ...merged.map((gap): Row => ({ at: gap.start_ms, line: null, gap })),
  ].sort((a, b) => a.at - b.at);
}
