/** What the server says, as docs/protocol.md and coaching/events.py have it. Times: `*_ms` media time, `at` and stamps wall-clock seconds. */

export type Speaker = "agent" | "prospect";
export type ConsentState = "unknown" | "announced" | "granted" | "refused" | "revoked";
export type Mode = "sample" | "microphone" | "tab" | "browser" | "replay" | "listen" | "phone" | "livekit";
export type Change = "taken_back" | "used" | "helpful" | "dismissed" | "expired" | "thumbs_up" | "thumbs_down";

export interface Contact { id: string | null; name: string; number: string; lead_id: string }
export interface PhoneLine { way: string; direction: "" | "inbound" | "outbound" | "internal"; caller: string; callee: string; id: string }
export interface Word { text: string; start_ms: number; end_ms: number; probability: number }

export interface Card {
  id: string; moment: string; kind: string; label: string; title: string; say: string; why: string;
  quote: string; quote_speaker: Speaker | null; quote_ms: number | null; source: string; rule: string;
  tier: "local" | "claude"; confidence: number; finding: string; utterance: string; expires_ms: number | null;
}

export interface SummaryLine { text: string; utterance: string; at_ms: number | null }
export interface ActionItem { who: Speaker; what: string; due: string | null; quote: string; utterance: string }
export interface ObjectionHandled {
  label: string; quote: string; utterance: string; at_ms: number; answer: string; answer_utterance: string;
  handled: "answered" | "moved_on" | "open";
}
export interface Summary {
  lines: SummaryLine[]; action_items: ActionItem[]; objections: ObjectionHandled[]; crm_note: string; tier: "local" | "claude";
}

interface Base { call: string; n: number; at: number; v: number; audio_ms: number | null; stamps: Record<string, number> }
type Of<T extends string, F = object> = Base & { type: T } & F;

export type CallEvent =
  | Of<"call_started", { mode: Mode; agent_name: string; contact: Contact }>
  | Of<"leg_changed", { speaker: Speaker; state: "joined" | "held" | "resumed" | "lost" | "left"; reason: string }>
  | Of<"clock_changed", { speaker: Speaker; offset_ms: number }>
  | Of<"consent_changed", { state: ConsentState; transcribe: boolean; record: boolean; claude: boolean; agent_only: boolean; by: string; rule: string }>
  | Of<"words_settled", { utterance: string; speaker: Speaker; start_ms: number; words: Word[] }>
  | Of<"utterance_final", { utterance: string; speaker: Speaker; start_ms: number; end_ms: number; text: string; words: Word[] }>
  | Of<"transcript_revised", { utterance: string; text: string; words: Word[] }>
  | Of<"gap_marked", { start_ms: number; end_ms: number; why: string }>
  | Of<"finding_noted", { finding: string; family: string; label: string; quote: string; start_ms: number }>
  | Of<"suggestion_shown", { card: Card }>
  | Of<"suggestion_refined", { card: Card }>
  | Of<"suggestion_changed", { card: string; change: Change; why: string }>
  | Of<"sheet_changed", { slot: string; value: unknown; shown: string; quote: string; utterance: string; confidence: number }>
  | Of<"stage_changed", { stage: string }>
  | Of<"notice_raised", { notice: string; speaker: Speaker | null; detail: string }>
  | Of<"notice_cleared", { notice: string; speaker: Speaker | null }>
  | Of<"call_resumed", { why: string }>
  | Of<"call_ended", { reason: string; outcome_preset: string; outcome_why: string }>
  | Of<"outcome_chosen", { outcome: string }>
  | Of<"summary_made", Summary>;

export interface LaneState {
  audio_ms: number;
  open: Partial<Record<Speaker, string>>;
  utterance: Partial<Record<Speaker, string>>;
  level: Partial<Record<Speaker, number>>;
  talk_share: number | null;
  pace_wpm: number | null;
  partials_thinned: boolean;
}

export type ViewerMessage = ({ lane: "event" } & CallEvent) | ({ lane: "state" } & LaneState) | { lane: "ping" };

export interface Line { utterance: string; speaker: Speaker; start_ms: number; end_ms: number; text: string; final: boolean }
export interface Slot { value: unknown; shown: string; quote: string; utterance: string; confidence: number }
export interface Gap { start_ms: number; end_ms: number; why: string }
export interface Consent { state: ConsentState; transcribe: boolean; record: boolean; claude: boolean; sentence: string; rule?: string }

export interface CallView {
  id: string; mode: Mode; state: "live" | "ended"; started_at: number | null; ended_at: number | null;
  contact: Contact | null; agent_name: string; line: PhoneLine | null; consent: Consent; transcript: Line[];
  cards: (Card & { state: string; changes: Change[]; shown_ms?: number })[];
  sheet: Record<string, Slot>; stage: string;
  notices: { notice: string; speaker: Speaker | null; detail: string }[];
  gaps: Gap[]; outcome: string; outcome_preset: string; summary: Summary | null; recorded: boolean; last: number;
}

export interface CallRow {
  id: string; mode: Mode; state: "live" | "ended"; started_at: number | null; ended_at: number | null;
  contact: string | null; name: string; number: string; agent_name: string; outcome: string;
}
