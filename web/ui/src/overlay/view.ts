import { signal } from "@preact/signals";
import type { BookPage } from "../api";

/** What the agent has opened; nothing else opens anything. */
export type Panel = "why" | "sheet" | "keys" | "yeses" | "book";
/** A page of the playbook that was opened by hand. */
export const page = signal<BookPage | null>(null);
export const behind = signal<"" | Panel>("");
export const hidden = signal(false);
/** The two further yeses, ticked while the sentence is read: kept with the yes that G says. */
export const also = signal({ record: false, claude: false });

export function tick(which: "record" | "claude"): void {
  also.value = { ...also.peek(), [which]: !also.peek()[which] };
}

export function flip(panel: Panel): void {
  behind.value = behind.peek() === panel ? "" : panel;
}
