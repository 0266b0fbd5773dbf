import { batch, computed, signal } from "@preact/signals";
import * as api from "../api";
import { ask, away, bare, bring, due, lay, type Ask, type Desk } from "../overlay/glance";
import type { CallEvent, CallView, ConsentState, LaneState, Mode } from "../wire";
import { also, page } from "../overlay/view";
import { fold, nothing, type Fold } from "./fold";
import { Viewer, type Line } from "./viewer";

/** The call that is live in this page, if any: one at a time. Everything the overlay shows hangs on these signals. */
export const id = signal<string | null>(null);
export const call = signal<Fold>(nothing);
export const lane = signal<LaneState | null>(null);
export const line = signal<Line>("connecting");
export const desk = signal<Desk>(bare);
export const asked = signal<Ask>({ share: false, pace: false });
export const sentence = signal("");
export const muted = signal(false);
export const trouble = signal("");
export const invite = signal("");
export const present = signal(false);
/** This page brings the call's sound; false after a reload of a page whose sound needs a click, and when a shared tab is gone. */
export const carried = signal(false);
/** The tab that was shared as the other side is gone: closed, or its sharing was stopped. */
export const tabGone = signal(false);
/** A supervisor's page: it sees and hears the call, and changes nothing in it. */
export const watching = signal(false);
/** A supervisor's microphone is open to the agent. */
export const whispering = signal(false);
/** Asked for an outcome: the id of the call that has just ended. It stays until answered or the next call begins. */
export const asking = signal<{ id: string; preset: string; why: string } | null>(null);

export const standing = computed(() => call.value.cards.find((c) => c.id === desk.value.standing));
export const busy = computed(() => id.value !== null && call.value.ended === null);

/** What brings the sound of the live call. */
export interface Carrier {
  close(): void;
  bye?(): void;
  mute?(muted: boolean): void;
  whisper?(speaking: boolean): void;
  resumed?(): void;
  event?(event: CallEvent): void;
  state?(state: LaneState): void;
}

let viewer: Viewer | null = null;
let carrier: Carrier | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;
/** The call whose outcome was chosen, perhaps before the server said what it would have guessed. */
let answered = "";
const KEPT = "sottovoce.live";

/** Follows a call: a new one, or after a reload the one that was live. */
export function follow(view: Pick<CallView, "id" | "mode" | "consent">): void {
  leave();
  sessionStorage.setItem(KEPT, JSON.stringify({ id: view.id, mode: view.mode }));
  batch(() => {
    id.value = view.id;
    call.value = nothing;
    lane.value = null;
    line.value = "connecting";
    desk.value = bare;
    asked.value = { share: false, pace: false };
    sentence.value = view.consent.sentence;
    muted.value = false;
    trouble.value = "";
    invite.value = "";
    present.value = false;
    carried.value = true;
    watching.value = whispering.value = false;
    asking.value = null;
    also.value = { record: false, claude: false };
    page.value = null;
  });
  const resumed = () => call.peek().resumed;
  viewer = new Viewer(view.id, () => call.peek().last, {
    event(event) {
      const before = resumed();
      batch(() => {
        call.value = fold(call.peek(), event);
        look();
      });
      carrier?.event?.(event);
      if (resumed() !== before) carrier?.resumed?.();
      if (event.type === "call_ended") ended(view.id);
    },
    state(state) {
      lane.value = state;
      asked.value = ask(asked.peek(), state);
      carrier?.state?.(state);
    },
    line(now, why) {
      line.value = now;
      if (why) trouble.value = why;
      if (now === "over") void leave();
    },
  });
}

export function carry(by: Carrier): void {
  carrier?.close();
  carrier = by;
  carried.value = true;
  tabGone.value = false;
}

export function mode(): Mode | "" {
  return call.peek().mode;
}

function look(): void {
  clearTimeout(timer);
  const now = performance.now();
  desk.value = lay(desk.peek(), call.peek().cards, now);
  const wait = due(desk.peek(), now);
  if (wait !== null) timer = setTimeout(look, wait + 10);
}

export function pick(card: string): void {
  desk.value = bring(desk.peek(), card, performance.now());
}

/** The newest card that waits, or else the last one folded. */
export function next(): void {
  const { waiting, folded } = desk.peek();
  const card = waiting.at(-1) ?? folded.at(-1);
  if (card !== undefined) pick(card);
}

/** The agent's verdict on a card. Dismissing is seen at once; the log confirms it. */
export async function judge(card: string, change: "thumbs_up" | "thumbs_down" | "dismissed"): Promise<void> {
  const of = id.peek();
  if (of === null || watching.peek()) return;
  const marked = (cards: Fold["cards"]) =>
    cards.map((c) => (c.id !== card ? c : change === "dismissed" ? { ...c, state: change } : { ...c, changes: [...c.changes, change] }));
  if (change === "dismissed") {
    call.value = { ...call.peek(), cards: marked(call.peek().cards) };
    if (desk.peek().standing === card) desk.value = away(desk.peek());
    look();
  }
  await tried(api.fate(of, card, change));
}

export async function consent(state: ConsentState): Promise<void> {
  if (id.peek() !== null && !watching.peek()) await tried(api.consent(id.peek()!, state));
}

/** The other person's yes to being listened to, and what they said about the two further things. */
export function agreed(further: { record: boolean; claude: boolean }): void {
  if (id.peek() !== null && !watching.peek()) void tried(api.consent(id.peek()!, "granted", further));
}

export function whisper(): void {
  whispering.value = !whispering.peek();
  carrier?.whisper?.(whispering.peek());
}

export function mute(): void {
  muted.value = !muted.peek();
  carrier?.mute?.(muted.peek());
}

/** Hangs up: the sound stops and the outcome is asked at once, however long the server takes over the last words and the summary. */
export async function hangUp(): Promise<void> {
  const of = id.peek();
  if (of === null) return;
  if (watching.peek()) return leave(); // the call is the others'
  if (call.peek().ended === null) call.value = { ...call.peek(), ended: { reason: "hung_up", outcome_preset: "", outcome_why: "" } };
  carrier?.bye?.();
  ended(of);
  await tried(api.end(of));
}

function ended(of: string): void {
  if (id.peek() !== of) return;
  carrier?.close();
  carrier = null;
  sessionStorage.removeItem(KEPT);
  const { ended: how, outcome } = call.peek();
  if (!watching.peek() && !outcome && answered !== of) asking.value = { id: of, preset: how?.outcome_preset ?? "", why: how?.outcome_why ?? "" };
}

export async function chooseOutcome(chosen: string): Promise<void> {
  const of = asking.peek();
  if (of === null) return;
  asking.value = null;
  answered = of.id;
  await tried(api.outcome(of.id, chosen).then(() => {
    // The log of a call that has ended tells its viewers nothing more.
    if (id.peek() === of.id) call.value = { ...call.peek(), outcome: chosen };
  }));
}

/** Stops following; the call itself goes on or has ended elsewhere. */
export function leave(): void {
  viewer?.close();
  viewer = null;
  carrier?.close();
  carrier = null;
  clearTimeout(timer);
  id.value = null;
}

export function kept(): { id: string; mode: Mode } | null {
  return JSON.parse(sessionStorage.getItem(KEPT) ?? "null") as { id: string; mode: Mode } | null;
}

export function forget(): void {
  sessionStorage.removeItem(KEPT);
}

async function tried(work: Promise<unknown>): Promise<void> {
  try {
    await work;
    trouble.value = "";
  } catch (failure) {
    trouble.value = failure instanceof Error ? failure.message : "That did not work.";
  }
}
