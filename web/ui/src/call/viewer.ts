import type { CallEvent, LaneState, ViewerMessage } from "../wire";

export type Line = "connecting" | "open" | "lost" | "over";

export interface ViewerHandlers {
  event(event: CallEvent): void;
  state(state: LaneState): void;
  line(line: Line, why: string): void;
}

/** Close codes after which coming back is of no use. */
const FINAL: Record<number, string> = { 4001: "You are not signed in any more.", 4004: "This call does not exist.", 4011: "What was shown before it was saved is lost. Load this page again." };

/** Waits before the nth try, in ms: 0.25 s, doubling, at most 4 s, with up to a quarter of it random so that pages do not come in step. */
export function pause(tries: number, random = Math.random): number {
  return Math.min(4_000, 250 * 2 ** tries) * (1 - random() / 4);
}

/** The agent's view of one call. It comes back by itself and resumes after the last number that it was given. */
export class Viewer {
  #socket: WebSocket | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #tries = 0;
  #closed = false;

  constructor(
    private readonly call: string,
    private readonly last: () => number,
    private readonly on: ViewerHandlers,
  ) {
    this.#open();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  #open(): void {
    const url = new URL(`/ws/calls/${this.call}?after=${this.last()}`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onopen = () => this.on.line("open", "");
    socket.onmessage = ({ data }) => {
      this.#tries = 0; // not before: a server whose database is away opens, and closes at once
      const message = JSON.parse(String(data)) as ViewerMessage;
      if (message.lane === "event") {
        try {
          this.on.event(message);
        } catch {
          socket.close(); // a number was skipped: come back and ask for it
        }
      } else if (message.lane === "state") this.on.state(message);
      else socket.send('{"pong":true}');
    };
    socket.onclose = ({ code }) => {
      if (this.#closed || socket !== this.#socket) return;
      const final = FINAL[code];
      if (final !== undefined) return this.on.line("over", final);
      this.on.line("lost", "");
      this.#timer = setTimeout(() => this.#open(), pause(this.#tries++));
    };
  }
}
