import { signal } from "@preact/signals";
import { render } from "preact";
import { RoomSeat } from "./peer/room";
import { Seat, type SeatHandlers } from "./peer/seat";
import { microphone, why } from "./sound/microphone";
import "./styles/base.css";
import "./styles/join.css";

/** The prospect's page: a voice, a mute button, and their say about being listened to. Nothing else reaches it. */

type Where = "door" | "joining" | "in" | "over";
const where = signal<Where>("door");
const present = signal(false);
const consent = signal({ state: "unknown", record: false, claude: false });
const muted = signal(false);
const reached = signal(true);
const trouble = signal("");
let seat: Seat | RoomSeat | null = null;
const voice = new Audio();
voice.autoplay = true;

/** The call that this page's link leads to; the link itself is a cookie that no script can read. */
const seatOf = () => asked<{ call: string; room: boolean }>("GET", "/api/seat");
const roomOf = () => asked<{ url: string; token: string }>("POST", "/api/seat/room");

async function asked<T>(method: string, path: string): Promise<T> {
  const reply = await fetch(path, { method, credentials: "same-origin" }).catch(() => null);
  if (reply === null) throw new Error("The server does not answer. Try again in a moment.");
  if (!reply.ok) throw Object.assign(new Error("This link has expired. Ask for a new one."), { status: reply.status });
  return (await reply.json()) as T;
}

async function join(): Promise<void> {
  where.value = "joining";
  trouble.value = "";
  try {
    const { call, room } = await seatOf();
    const mic = await microphone();
    const on: SeatHandlers = {
      welcome: () => { where.value = "in"; },
      present: (now) => { present.value = now; },
      consent: (state, { record, claude }) => { consent.value = { state, record, claude }; },
      voice: (stream) => { voice.srcObject = stream; void voice.play().catch(() => undefined); },
      line: (open) => { reached.value = open; },
      ended: over,
      error: (detail) => { trouble.value = detail; },
    };
    seat = room ? new RoomSeat(call, "prospect", mic, roomOf, on) : new Seat(call, "prospect", mic, on);
  } catch (failure) {
    trouble.value = why(failure);
    where.value = "door";
  }
}

function over(): void {
  seat?.close();
  seat = null;
  voice.srcObject = null;
  where.value = "over";
}

function hangUp(): void {
  seat?.hangUp();
  setTimeout(over, 150); // the words "I hang up" still have to leave
}

function mute(): void {
  muted.value = !muted.peek();
  seat?.mute(muted.peek());
}

function Page() {
  return (
    <main class="join">
      <p class="wordmark">Sottovoce</p>
      {where.value === "over" ? <p class="big">The call has ended.</p>
        : where.value === "in" ? <Call />
        : <>
            <p class="big">Somebody would like to talk with you.</p>
            <p>Your browser will ask for the microphone. There is no picture.</p>
            <button type="button" class="primary" data-testid="join" disabled={where.value === "joining"} onClick={() => void join()}>{where.value === "joining" ? "Joining…" : "Join the call"}</button>
          </>}
      <p class="trouble" role="alert">{trouble.value}</p>
    </main>
  );
}

function Call() {
  return (
    <>
      <p class="big" role="status">{present.value ? "You are in the call." : "Waiting for the other person…"}</p>
      {!reached.value && <p class="soft">The server does not answer; you still hear each other. Trying again.</p>}
      <Say />
      <div class="row">
        <button type="button" aria-pressed={muted.value} data-testid="mute" onClick={mute}>{muted.value ? "Unmute" : "Mute"}</button>
        <button type="button" class="hang-up" data-testid="hang-up" onClick={hangUp}>Hang up</button>
      </div>
    </>
  );
}

/** Three yeses of their own, a no, and a yes that can be taken back at any time. */
function Say() {
  const { state, record, claude } = consent.value;
  if (state === "granted")
    return (
      <div class="say-so" data-testid="consent">
        <p>A program listens and takes notes for the other person. You agreed.</p>
        <Yes what="record" now={record}>The call may also be recorded</Yes>
        <Yes what="claude" now={claude}>The words may also be sent to Claude, a service of Anthropic</Yes>
        <button type="button" data-testid="revoke" onClick={() => seat?.consent("revoked")}>Stop it</button>
      </div>
    );
  const refused = state === "refused" || state === "revoked";
  return (
    <div class="say-so" data-testid="consent">
      <p>{refused ? "Nothing is listening. You two hear each other as before." : "May a program listen and take notes for the other person? You can stop it at any time."}</p>
      <button type="button" class={refused ? "" : "primary"} data-testid="grant" onClick={() => seat?.consent("granted")}>{refused ? "Allow it after all" : "Yes, that is fine"}</button>
      {!refused && <button type="button" data-testid="refuse" onClick={() => seat?.consent("refused")}>No</button>}
    </div>
  );
}

function Yes({ what, now, children }: { what: "record" | "claude"; now: boolean; children: string }) {
  return <label class="yes"><input type="checkbox" data-testid={`yes-${what}`} checked={now} onChange={() => seat?.consent("granted", { [what]: !now })} /> {children}</label>;
}

render(<Page />, document.getElementById("app") as HTMLElement);
