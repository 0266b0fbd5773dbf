import type { Fold, ShownCard } from "../call/fold";
import { notice } from "../words";
import type { LaneState, Line, Speaker } from "../wire";

/** A card stays this long before a newer one may take its place: long enough to look up, read twenty words and say them. */
export const DWELL_MS = 6_000;

/** What lies on the desk: at most one card at full size. `waiting` is read by its newest, never as a queue to work off. */
export interface Desk {
  standing: string | null;
  since: number;
  waiting: string[];
  folded: string[];
  /** The standing card was asked for by hand: that it was put away before does not send it off again. */
  byHand: boolean;
}

export const bare: Desk = { standing: null, since: 0, waiting: [], folded: [], byHand: false };

const GONE = new Set<string>(["dismissed"]);
const DONE = new Set<string>(["dismissed", "taken_back", "used", "expired"]);

/**
 * The desk after looking at the call's cards at wall-clock `now` (ms). A standing card is never snatched away:
 * it goes when it is dismissed, or when a newer one waits and it has stood its time or is of no use any more.
 */
export function lay(desk: Desk, cards: readonly ShownCard[], now: number): Desk {
  const by = new Map(cards.map((c) => [c.id, c]));
  const known = new Set([...desk.waiting, ...desk.folded, ...(desk.standing ? [desk.standing] : [])]);
  const fresh = cards.filter((c) => !known.has(c.id)).map((c) => c.id);
  let { standing, since, byHand } = desk;
  const folded = desk.folded.filter((id) => by.has(id));
  let waiting = [...desk.waiting, ...fresh].filter((id) => !DONE.has(by.get(id)?.state ?? "expired"));
  folded.push(...[...desk.waiting, ...fresh].filter((id) => !waiting.includes(id) && by.has(id) && !GONE.has(by.get(id)!.state)));

  const state = standing === null ? null : (by.get(standing)?.state ?? "dismissed");
  if (standing !== null && !byHand && GONE.has(state!)) {
    folded.push(standing);
    standing = null;
  }
  const next = waiting.at(-1);
  if (next !== undefined && (standing === null || DONE.has(state!) || now - since >= DWELL_MS)) {
    if (standing !== null) folded.push(standing);
    folded.push(...waiting.slice(0, -1));
    waiting = [];
    standing = next;
    since = now;
    byHand = false;
  }
  const same = standing === desk.standing && waiting.join() === desk.waiting.join() && folded.join() === desk.folded.join();
  return same ? desk : { standing, since, waiting, folded, byHand };
}

/** When the desk wants to be looked at again (ms from `now`), or null. */
export function due(desk: Desk, now: number): number | null {
  return desk.standing !== null && desk.waiting.length > 0 ? Math.max(0, desk.since + DWELL_MS - now) : null;
}

/** The agent asks for a card by hand: the newest that waits, or an earlier one brought back. */
export function bring(desk: Desk, id: string, now: number): Desk {
  if (id === desk.standing) return desk;
  const folded = desk.folded.filter((f) => f !== id);
  if (desk.standing !== null) folded.push(desk.standing);
  return { standing: id, since: now, waiting: desk.waiting.filter((w) => w !== id), folded, byHand: true };
}

/** The agent puts the standing card away. */
export function away(desk: Desk): Desk {
  return desk.standing === null ? desk : { ...desk, standing: null, byHand: false, folded: [...desk.folded, desk.standing] };
}

export interface Caption { settled: string; open: string }

/** One side's newest words: what is settled, and the open tail that may still change. */
export function caption(lines: readonly Line[], state: LaneState | null, speaker: Speaker): Caption {
  const last = lines.findLast((l) => l.speaker === speaker);
  const tail = state?.open[speaker] ?? "";
  const of = state?.utterance[speaker];
  if (!tail) return { settled: last?.text ?? "", open: "" };
  if (last && last.utterance === of) return { settled: last.text, open: last.final ? "" : tail };
  return { settled: "", open: tail }; // a new utterance whose first word is not settled yet
}

/** "You do 72 % of the talking" and the like: said when it is asked for, and only taken back well below (so it never flickers). */
export interface Ask { share: boolean; pace: boolean }

export function ask(was: Ask, state: LaneState | null): Ask {
  if (state === null || state.audio_ms < 45_000) return { share: false, pace: false };
  const share = state.talk_share !== null && state.talk_share > (was.share ? 0.58 : 0.68);
  const pace = state.pace_wpm !== null && state.pace_wpm > (was.pace ? 170 : 190);
  return share === was.share && pace === was.pace ? was : { share, pace };
}

type Raised = Fold["notices"][number];

/** What the one line for notices says first: what loses words before what delays them. "Not listening" is the head's own word and the place's. */
const LOUD = ["audio_lost", "not_hearing", "on_loudspeaker", "recogniser_restarted", "recogniser_slow", "not_yet_saved", "being_listened_to", "other_language"];

export function loudest(notices: readonly Raised[]): Raised | undefined {
  const rank = (n: Raised) => { const at = LOUD.indexOf(n.notice); return at < 0 ? LOUD.length : at; };
  return notices.filter((n) => n.notice !== "not_listening").reduce<Raised | undefined>((best, n) => (best === undefined || rank(n) < rank(best) ? n : best), undefined);
}

/** The line for notices; a computer too busy for all partials is worth it only where nothing else is wrong. */
export function noticed(notices: readonly Raised[], lane: LaneState | null): string {
  const first = loudest(notices);
  return first ? notice(first) : lane?.partials_thinned ? "Busy computer: captions come in larger steps." : "";
}

/** The sheet asks for a look only with a question about a missing slot. */
export const sheetAsks = (card: ShownCard | undefined): boolean => card?.moment === "missing_question" || card?.kind === "missing_question";

/** Whether the place for words shows the consent sentence instead: nobody is listened to yet, and somebody must say yes. */
export const consentAsks = (call: Fold): boolean =>
  call.ended === null && call.consent !== null && !call.consent.transcribe && (call.consent.state === "unknown" || call.consent.state === "announced");
