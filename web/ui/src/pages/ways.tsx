import { signal } from "@preact/signals";
import * as begin from "../call/begin";
import * as live from "../call/live";
import { go } from "../router";
import { canShareTab } from "../sound/tab";

const opening = signal("");
const form = signal(false);

async function start(name: string, way: () => Promise<boolean>): Promise<void> {
  if (opening.peek() || live.busy.peek()) return;
  opening.value = name;
  const came = await way();
  opening.value = "";
  if (came) {
    form.value = false;
    go("/overlay");
  }
}

interface Way { id: string; test: string; name: string; what: string; run: () => Promise<boolean> }

const WAYS: Way[] = [
  { id: "sample", test: "play-sample", name: "Play the sample call", what: "Two voices, under three minutes. Watch the coaching do its work.", run: begin.sample },
  { id: "practice", test: "try-mic", name: "Try it with my microphone", what: "A seller asks why she should pay you three percent. Answer her.", run: begin.practice },
  { id: "tab", test: "coach-tab", name: "Coach a call in another tab", what: "Your dialer's tab is the other side, your microphone is you.", run: () => begin.tab() },
];

/** The four ways in; `small` where a call has just ended or the window is little. */
export function Ways({ small = false }: { small?: boolean }) {
  const blocked = live.busy.value || opening.value !== "";
  return (
    <div class={small ? "ways small" : "ways"}>
      {WAYS.map((way) => (
        <button key={way.id} type="button" class="way" data-testid={way.test} disabled={blocked} onClick={() => void start(way.id, way.run)}>
          <strong>{opening.value === way.id ? "Opening…" : way.name}</strong>
          {!small && <span>{way.what}{way.id === "tab" && !canShareTab() && " Needs Chrome or Edge on a computer."}</span>}
        </button>
      ))}
      <button type="button" class="way" data-testid={form.value ? "start-call-form" : "start-call"} disabled={blocked} aria-expanded={form.value}
        onClick={() => (small ? void start("browser", () => begin.browser()) : (form.value = !form.value))}>
        <strong>{opening.value === "browser" ? "Opening…" : "Start a call"}</strong>
        {!small && <span>A link for the other person. You talk browser to browser.</span>}
      </button>
      {!small && form.value && <NewCall blocked={blocked} />}
      <p class="trouble" role="alert">{live.trouble.value}</p>
    </div>
  );
}

function NewCall({ blocked }: { blocked: boolean }) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const field = new FormData(event.currentTarget as HTMLFormElement);
    const said = (key: string) => String(field.get(key) ?? "").trim();
    const who = {
      contact: { name: said("name"), number: said("number") },
      ...(said("mine") ? { agent_state: said("mine").toUpperCase() } : {}),
      ...(said("theirs") ? { prospect_state: said("theirs").toUpperCase() } : {}),
    };
    void start("browser", () => begin.browser(who));
  };
  return (
    <form class="new-call" onSubmit={submit}>
      <label>Their name<input name="name" autocomplete="off" maxLength={120} /></label>
      <label>Number<input name="number" type="tel" autocomplete="off" maxLength={40} /></label>
      <label>Your state<input name="mine" placeholder="CA" maxLength={2} pattern="[A-Za-z]{2}" size={3} /></label>
      <label>Their state<input name="theirs" placeholder="?" maxLength={2} pattern="[A-Za-z]{2}" size={3} /></label>
      <button type="submit" class="primary" data-testid="start-call-go" disabled={blocked}>Make the link</button>
      <p class="hint">The states decide whose consent the law wants first. Left empty, everybody's.</p>
    </form>
  );
}
