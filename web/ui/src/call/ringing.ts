import { effect, signal } from "@preact/signals";
import * as api from "../api";
import { me } from "../me";
import { popped } from "../overlay/popout";
import { path } from "../router";
import type { CallRow } from "../wire";
import * as live from "./live";

/** A telephone call that is live on the server and that this page does not follow yet. */
export const ringing = signal<CallRow | null>(null);

const EVERY_MS = 2_000;
const followed = new Set<string>();

/** Whose call it is: this agent's, or nobody's in particular. */
const mine = (row: CallRow): boolean => !row.agent_name || !me().agent_name || row.agent_name === me().agent_name;

/** A telephone call, or one in a LiveKit room that is this agent's by name: there the telephone may ring while no page was asked. */
const takenUp = (row: CallRow): boolean =>
  (row.mode === "phone" && mine(row)) || (row.mode === "livekit" && row.agent_name !== "" && row.agent_name === me().agent_name);

export async function follow(row: CallRow): Promise<void> {
  followed.add(row.id);
  ringing.value = null;
  try {
    live.follow(await api.read(row.id));
  } catch (failure) {
    live.trouble.value = failure instanceof Error ? failure.message : "";
  }
}

async function look(): Promise<void> {
  if (live.busy.peek() || (document.hidden && !popped.peek())) return;
  const { calls } = await api.list("");
  const row = calls.find((c) => c.state === "live" && takenUp(c)) ?? null;
  const free = live.asking.peek() === null; // the last call's outcome is asked first
  if (row !== null && free && !followed.has(row.id) && (path.peek() === "/overlay" || popped.peek())) return follow(row);
  ringing.value = row;
}

/** Calls that come by telephone begin without a click here: the overlay takes them up by itself, other pages show that there is one. */
export function listen(): void {
  const again = () => void look().catch(() => undefined).finally(() => setTimeout(again, EVERY_MS));
  again();
  effect(() => {
    if (path.value === "/overlay") void look().catch(() => undefined);
  });
}
