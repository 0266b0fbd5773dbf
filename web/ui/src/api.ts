import type { CallEvent, CallRow, CallView, ConsentState, Contact, Mode, Speaker } from "./wire";

/** The server's refusal (RFC 9457): `message` is the sentence for a person. */
export class Refused extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  let reply: Response;
  try {
    reply = await fetch(path, {
      method,
      credentials: "same-origin",
      ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    });
  } catch {
    throw new Refused(0, "Sottovoce's server does not answer. Is it still running?");
  }
  if (!reply.ok) {
    const problem = (await reply.json().catch(() => ({}))) as { title?: string; detail?: string };
    const fallback = reply.status === 401 ? "You are not signed in. Open the link that the server printed at its start." : `${reply.status}`;
    throw new Refused(reply.status, problem.detail || problem.title || fallback);
  }
  return (reply.status === 204 ? undefined : await reply.json()) as T;
}

export interface NewCall { mode: Mode; contact?: Partial<Contact>; agent_name?: string; agent_state?: string; prospect_state?: string; about?: string }
export interface Status {
  version: string;
  engine: { alive: boolean; model: string; restarts: number };
  missing: { what: string; why: string; fix: string }[];
  calls_live: number;
  /** Calls between people are held in LiveKit rooms. */
  rooms: boolean;
}

export const session = () => ask<{ user: string; name: string; role: string }>("GET", "/api/session");
export const status = () => ask<Status>("GET", "/api/status");
export interface BookPage { label: string; title: string; say: string[] }
export const playbook = () => ask<{ pages: BookPage[] }>("GET", "/api/playbook");
export const begin = (call: NewCall) => ask<CallView>("POST", "/api/calls", call);
export const link = (id: string) => ask<{ url: string; expires_at: number }>("POST", `/api/calls/${id}/link`, {});
/** A token for this call's LiveKit room. */
export const room = (id: string) => ask<{ url: string; token: string }>("POST", `/api/calls/${id}/room`, {});
/** To hear a call without being part of it; `whisper` is the token of a room in which only the agent hears. */
export const listenIn = (id: string) => ask<{ url: string; token: string; whisper: string }>("POST", `/api/calls/${id}/listen`, {});
export const whisper = (id: string) => ask<{ url: string; token: string }>("POST", `/api/calls/${id}/whisper`, {});
export const list = (q: string, before?: string) =>
  ask<{ calls: CallRow[]; next: number | null }>("GET", `/api/calls?${new URLSearchParams({ q, limit: "40", ...(before ? { before } : {}) })}`);
export const read = (id: string) => ask<CallView>("GET", `/api/calls/${id}`);
export const events = (id: string, after = 0) => ask<{ events: CallEvent[]; last: number }>("GET", `/api/calls/${id}/events?after=${after}&limit=1000`);
export const leg = (id: string, sdp: string, tracks: Record<string, Speaker>) => ask<{ sdp: string }>("POST", `/api/calls/${id}/legs`, { sdp, tracks });
export const consent = (id: string, state: ConsentState, extra: { record?: boolean; claude?: boolean } = {}) =>
  ask<CallView>("POST", `/api/calls/${id}/consent`, { state, ...extra });
export const fate = (id: string, card: string, change: "thumbs_up" | "thumbs_down" | "dismissed") =>
  ask<void>("POST", `/api/calls/${id}/cards/${card}`, { change });
export const end = (id: string) => ask<CallView>("POST", `/api/calls/${id}/end`, { reason: "hung_up" });
export const outcome = (id: string, chosen: string) => ask<CallView>("POST", `/api/calls/${id}/outcome`, { outcome: chosen });
export const remove = (id: string) => ask<void>("DELETE", `/api/calls/${id}`);

export interface Way {
  way: string; on: boolean; where: string; wrong: string; live: number; taken: number; refused: number; refusal: string;
  refused_at: number | null; last_at: number | null; lost_chunks: number;
}
export interface Plan {
  file: string; text: string; refusal: string; country: string; rules: { fits: string; who: string }[];
  open: string[]; premium: string[]; hours: number[]; announcement: string;
}
export interface DoNotCall {
  entries: { number: string; at: number; why: string }[];
  removed: { number: string; listed_at: number; listed_why: string; at: number; by: string; why: string }[];
}
export interface Weighed { number: string; refused: string; why: string }
export const ways = () => ask<{ ways: Way[] }>("GET", "/api/phones/ways");
export const plan = () => ask<Plan>("GET", "/api/phones/plan");
export const changePlan = (text: string) => ask<Plan>("PUT", "/api/phones/plan", { text });
export const weigh = (number: string) => ask<Weighed>("GET", `/api/phones/dialing?${new URLSearchParams({ number })}`);
export const doNotCall = (q = "") => ask<DoNotCall>("GET", `/api/do-not-call?${new URLSearchParams({ q })}`);
export const putOn = (number: string, why: string) => ask<void>("POST", "/api/do-not-call", { number, why });
export const takeOff = (number: string, why: string) => ask<DoNotCall>("POST", "/api/do-not-call/remove", { number, why });
