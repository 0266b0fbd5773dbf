import { signal } from "@preact/signals";

/** What the agent has opened; nothing else opens anything. */
export const behind = signal<"" | "why" | "sheet" | "keys">("");
export const hidden = signal(false);

export function flip(panel: "why" | "sheet" | "keys"): void {
  behind.value = behind.peek() === panel ? "" : panel;
}
