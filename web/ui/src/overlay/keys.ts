import * as live from "../call/live";
import { OUTCOMES } from "../words";
import { consentAsks } from "./glance";
import { popOut } from "./popout";
import { also, behind, flip, hidden, page, tick } from "./view";

export interface Key { key: string; shown: string; does: string; run(): void }

const onCard = (change: "thumbs_up" | "thumbs_down" | "dismissed") => () => {
  const card = live.standing.peek();
  if (card) void live.judge(card.id, change);
};

export const KEYS: Key[] = [
  { key: "h", shown: "H", does: "hide everything, or show it again", run: () => (hidden.value = !hidden.peek()) },
  { key: "w", shown: "W", does: "why this card", run: () => flip("why") },
  { key: "arrowup", shown: "↑", does: "good card", run: onCard("thumbs_up") },
  { key: "arrowdown", shown: "↓", does: "bad card", run: onCard("thumbs_down") },
  { key: "x", shown: "X", does: "put the card away", run: onCard("dismissed") },
  { key: "n", shown: "N", does: "the card that waits, or an earlier one", run: live.next },
  { key: "s", shown: "S", does: "what is known, and what is missing", run: () => flip("sheet") },
  { key: "b", shown: "B", does: "the playbook, to read by hand", run: () => flip("book") },
  { key: "c", shown: "C", does: "consent: what was agreed to", run: () => flip("yeses") },
  { key: "m", shown: "M", does: "mute yourself", run: live.mute },
  { key: "p", shown: "P", does: "into a window of its own", run: () => void popOut() },
  { key: "?", shown: "?", does: "these keys", run: () => flip("keys") },
  { key: "escape", shown: "Esc", does: "close what is open", run: () => { behind.value = ""; page.value = null; } },
  { key: "E", shown: "⇧E", does: "hang up", run: () => void (live.busy.peek() && live.hangUp()) },
];

function outcome(key: string): string | null {
  const asked = live.asking.peek();
  if (asked === null) return null;
  if (key === "Enter" && asked.preset) return asked.preset;
  return OUTCOMES[Number(key) - 1] ?? null;
}

/** While the sentence stands there: G agreed, R declined, 1 and 2 the further yeses. */
function answered(key: string): boolean {
  switch (key) {
    case "g": live.agreed(also.peek()); return true;
    case "r": void live.consent("refused"); return true;
    case "1": tick("record"); return true;
    case "2": tick("claude"); return true;
    default: return false;
  }
}

function pressed(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  // The window popped out has an Element of its own, so the kind is asked by name.
  const at = event.target as Element | null;
  if (at?.closest?.("input, textarea, select, [contenteditable]")) return;
  if (event.key === "Enter" && at?.closest?.("button, a")) return;
  const chosen = outcome(event.key);
  if (chosen !== null) {
    event.preventDefault();
    return void live.chooseOutcome(chosen);
  }
  if (live.id.peek() === null) return;
  if (consentAsks(live.call.peek()) && answered(event.key)) return;
  const key = KEYS.find((k) => k.key === event.key || (k.key === event.key.toLowerCase() && !event.shiftKey));
  if (key === undefined) return;
  event.preventDefault();
  key.run();
}

export function listen(where: Document): void {
  where.addEventListener("keydown", pressed);
}
