import type { CallEvent, Card, Change, Contact, ConsentState, Gap, Line, Mode, Slot, Speaker, Summary, Word } from "../wire";

export interface ShownCard extends Card {
  state: "shown" | Change;
  changes: Change[];
  /** From the words' arrival at the server to the card's commit, by the server's own clock; null when a stamp is missing. */
  took_ms: number | null;
}

/** A call as the overlay knows it: a fold over its events, the same as coaching/state.py. Never changed in place. */
export interface Fold {
  last: number;
  mode: Mode | "";
  contact: Contact | null;
  agent_name: string;
  started_at: number | null;
  consent: { state: ConsentState; transcribe: boolean; record: boolean; claude: boolean; agent_only: boolean; rule: string } | null;
  lines: Line[];
  cards: ShownCard[];
  sheet: Record<string, Slot>;
  stage: string;
  notices: { notice: string; speaker: Speaker | null; detail: string }[];
  gaps: Gap[];
  legs: Partial<Record<Speaker, string>>;
  resumed: number;
  ended: { reason: string; outcome_preset: string; outcome_why: string } | null;
  outcome: string;
  summary: Summary | null;
}

export const nothing: Fold = {
  last: 0, mode: "", contact: null, agent_name: "", started_at: null, consent: null, lines: [], cards: [], sheet: {}, stage: "opening",
  notices: [], gaps: [], legs: {}, resumed: 0, ended: null, outcome: "", summary: null,
};

/** The next state. An event seen before changes nothing; one that skips a number is an error: the caller resumes by number. */
export function fold(now: Fold, event: CallEvent): Fold {
  if (event.n <= now.last) return now;
  if (event.n !== now.last + 1) throw new RangeError(`event ${event.n} after ${now.last}`);
  return { ...now, ...change(now, event), last: event.n };
}

function change(now: Fold, e: CallEvent): Partial<Fold> {
  switch (e.type) {
    case "call_started": return { mode: e.mode, contact: e.contact, agent_name: e.agent_name, started_at: e.at };
    case "leg_changed": return { legs: { ...now.legs, [e.speaker]: e.state } };
    case "consent_changed": {
      const { state, transcribe, record, claude, agent_only, rule } = e;
      return { consent: { state, transcribe, record, claude, agent_only, rule } };
    }
    case "words_settled": return { lines: settle(now.lines, e) };
    case "utterance_final": {
      const line: Line = { utterance: e.utterance, speaker: e.speaker, start_ms: e.start_ms, end_ms: e.end_ms, text: e.text, final: true };
      const others = now.lines.filter((l) => l.utterance !== e.utterance);
      return { lines: e.text ? place(others, line) : others }; // no text: it was no speech after all
    }
    case "transcript_revised": return { lines: now.lines.map((l) => (l.utterance === e.utterance ? { ...l, text: e.text } : l)) };
    case "gap_marked": return { gaps: [...now.gaps, { start_ms: e.start_ms, end_ms: e.end_ms, why: e.why }] };
    case "suggestion_shown": {
      if (now.cards.some((c) => c.id === e.card.id)) return {};
      const heard = e.stamps["heard"];
      return { cards: [...now.cards, { ...e.card, state: "shown", changes: [], took_ms: heard === undefined ? null : Math.round((e.at - heard) * 1000) }] };
    }
    case "suggestion_refined": return { cards: now.cards.map((c) => (c.id === e.card.id ? { ...c, ...e.card } : c)) };
    case "suggestion_changed":
      return { cards: now.cards.map((c) => (c.id === e.card ? { ...c, changes: [...c.changes, e.change], state: e.change.startsWith("thumbs") ? c.state : e.change } : c)) };
    case "sheet_changed": {
      const { value, shown, quote, utterance, confidence } = e;
      return { sheet: { ...now.sheet, [e.slot]: { value, shown, quote, utterance, confidence } } };
    }
    case "stage_changed": return { stage: e.stage };
    case "notice_raised": return { notices: [...without(now, e), { notice: e.notice, speaker: e.speaker, detail: e.detail }] };
    case "notice_cleared": return { notices: without(now, e) };
    case "call_resumed": return { resumed: now.resumed + 1 };
    case "call_ended": return { ended: { reason: e.reason, outcome_preset: e.outcome_preset, outcome_why: e.outcome_why } };
    case "outcome_chosen": return { outcome: e.outcome };
    case "summary_made": {
      const { lines, action_items, objections, crm_note, tier } = e;
      return { summary: { lines, action_items, objections, crm_note, tier } };
    }
    case "clock_changed":
    case "finding_noted": return {};
    default: return e satisfies never; // an event type of a newer server changes nothing here
  }
}

const without = (now: Fold, e: { notice: string; speaker: Speaker | null }) =>
  now.notices.filter((n) => n.notice !== e.notice || n.speaker !== e.speaker);

const spell = (words: Word[]) => words.map((w) => w.text.trim()).join(" ");

function settle(lines: Line[], e: { utterance: string; speaker: Speaker; start_ms: number; words: Word[] }): Line[] {
  const known = lines.find((l) => l.utterance === e.utterance);
  const end_ms = e.words.at(-1)?.end_ms ?? known?.end_ms ?? e.start_ms;
  if (!known) return place(lines, { utterance: e.utterance, speaker: e.speaker, start_ms: e.start_ms, end_ms, text: spell(e.words), final: false });
  if (known.final) return lines;
  return lines.map((l) => (l === known ? { ...l, end_ms, text: `${l.text} ${spell(e.words)}`.trim() } : l));
}

/** In the order in which the lines began. */
function place(lines: Line[], line: Line): Line[] {
  let at = lines.length;
  while (at > 0 && (lines[at - 1] as Line).start_ms > line.start_ms) at -= 1;
  return [...lines.slice(0, at), line, ...lines.slice(at)];
}
