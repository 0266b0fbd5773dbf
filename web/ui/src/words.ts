/** How wire names read to a person. */

export const SLOTS = ["motivation", "timeframe", "location", "price", "financing", "decision_makers", "agency", "appointment"] as const;
export const OUTCOMES = ["appointment", "next_step", "call_back", "lost", "no_answer", "voicemail", "do_not_call"] as const;

const NAMES: Record<string, string> = {
  decision_makers: "Who decides", agency: "Has an agent", financing: "Money", price: "Price", do_not_call: "Do not call",
  objection_response: "Objection", neutral_answer: "Stay neutral", compliance_warning: "Careful", empathy: "Acknowledge",
  close_now: "Ask now", missing_question: "Ask", wrong_fact: "Correct it", let_them_talk: "Let them talk", market_fact: "Market",
  document_fact: "Document", voicemail_message: "Voicemail", screening_answer: "Screening",
  sample: "Sample call", microphone: "Practice", tab: "Another tab", browser: "Call by link", replay: "Recording", listen: "This computer", phone: "Telephone",
  self_serve: "Alone", stall: "Brush-off", decision_maker: "Somebody else decides",
};

/** "next_step" → "Next step". */
export function name(wire: string): string {
  const known = NAMES[wire];
  if (known !== undefined) return known;
  const plain = wire.replaceAll("_", " ");
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

export function notice(n: { notice: string; speaker: "agent" | "prospect" | null; detail: string }): string {
  const who = n.speaker === "agent" ? "your side" : n.speaker === "prospect" ? "the other side" : "the call";
  switch (n.notice) {
    case "not_listening": return "Not listening: no consent.";
    case "not_hearing": return `Sound arrives from ${who}, but no words.`;
    case "audio_lost": return `No sound from ${who}. Coming back by itself.`;
    case "on_loudspeaker": return "Loudspeaker: both voices are in your microphone.";
    case "recogniser_slow": return "Captions are behind.";
    case "recogniser_restarted": return "Captions restarted.";
    case "module_off": return n.detail ? `Switched off for this call: ${n.detail}.` : "A part of the coaching is off.";
    case "claude_off": return n.detail === "BudgetSpent" ? "Claude's budget is used up; the coach's own cards go on." : "Claude does not answer; the coach's own cards go on.";
    case "not_yet_saved": return "Not saved yet; trying again.";
    case "no_talk": return "Nobody has spoken for a while.";
    case "other_language": return "This does not sound like English.";
    case "being_listened_to": return `${n.detail || "Somebody of your team"} listens in.`;
    default: return n.detail || name(n.notice);
  }
}

/** 83_400 → "1:23". */
export function clock(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}

export function when(at: number | null): string {
  if (at === null) return "";
  const date = new Date(at * 1000);
  const today = new Date();
  const time = date.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
  if (date.toDateString() === today.toDateString()) return time;
  return `${date.toLocaleDateString(undefined, { day: "numeric", month: "short" })}, ${time}`;
}
