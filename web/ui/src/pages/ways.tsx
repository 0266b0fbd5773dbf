import { signal } from "@preact/signals";
import * as begin from "../call/begin";
import * as live from "../call/live";
import { me, remember } from "../me";
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
  { id: "tab", test: "coach-tab", name: "Coach a call in another tab", what: "Your dialer's tab is the other side, your microphone is you.", run: () => begin.tab(me()) },
];

/** The four ways in; `small` where a call has just ended or the window is little. */
export function Ways({ small = false }: { small?: boolean }) {
  const blocked = live.busy.value || opening.value !== "";
  return (
    <div class={small ? "ways small" : "ways"}>
      {WAYS.map((way) => (
        <button key={way.id} type="button" class="way" data-testid={way.test} disabled={blocked} onClick={() => void start(way.id, way.run)}>
          {!small && <Sign of={way.id} />}
          <strong>{opening.value === way.id ? "Opening…" : way.name}</strong>
          {!small && <span>{way.what}{way.id === "tab" && !canShareTab() && " Needs Chrome or Edge on a computer."}</span>}
        </button>
      ))}
      <button type="button" class="way" data-testid={form.value ? "start-call-form" : "start-call"} disabled={blocked} aria-expanded={form.value}
        onClick={() => (small ? void start("browser", () => begin.browser(me())) : (form.value = !form.value))}>
        {!small && <Sign of="browser" />}
        <strong>{opening.value === "browser" ? "Opening…" : "Start a call"}</strong>
        {!small && <span>A link for the other person. You talk browser to browser.</span>}
      </button>
      {!small && form.value && <NewCall blocked={blocked} />}
      <p class="trouble" role="alert">{live.trouble.value}</p>
    </div>
  );
}

function NewCall({ blocked }: { blocked: boolean }) {
  const known = me();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const field = new FormData(event.currentTarget as HTMLFormElement);
    const said = (key: string) => String(field.get(key) ?? "").trim();
    const mine = { agent_name: said("agent"), agent_state: said("mine").toUpperCase() };
    remember(mine);
    const who = {
      ...mine,
      contact: { name: said("name"), number: said("number") },
      prospect_state: said("theirs").toUpperCase(),
      about: said("about"),
    };
    void start("browser", () => begin.browser(who));
  };
  return (
    <form class="new-call" onSubmit={submit}>
      <label class="wide">Their name<input name="name" autocomplete="off" maxLength={120} autofocus /></label>
      <label>Number<input name="number" type="tel" autocomplete="off" maxLength={40} /></label>
      <label>Their state<State name="theirs" /></label>
      <label class="whole">Home or place you will talk about<input name="about" autocomplete="off" maxLength={200} placeholder="5512 Okeechobee Boulevard" /></label>
      <label class="wide">Your name<input name="agent" autocomplete="off" maxLength={120} defaultValue={known.agent_name} /></label>
      <label>Your state<State name="mine" known={known.agent_state} /></label>
      <button type="submit" class="primary" data-testid="start-call-go" disabled={blocked}>Make the link</button>
      <p class="hint">The stricter of the two states decides who must agree before anything is transcribed. Left empty: everybody.</p>
    </form>
  );
}

const State = ({ name, known = "" }: { name: string; known?: string }) => (
  <input name={name} placeholder="TX" maxLength={2} pattern="[A-Za-z]{2}" title="Two letters, such as TX" size={3} autocomplete="off" defaultValue={known} />
);

const SIGNS: Record<string, string> = {
  sample: "M7 4.5v15l12-7.5z",
  practice: "M12 3.5a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0v-5a3 3 0 0 1 3-3zM5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3",
  tab: "M3 6.5A1.5 1.5 0 0 1 4.5 5h15A1.5 1.5 0 0 1 21 6.5v11a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 17.5zM3 9.5h18M8.5 5v4.5M14 5v4.5",
  browser: "M9.500 14.500l5-5M11 6.500l1.800-1.800a4.600 4.600 0 0 1 6.500 6.500L17.500 13M13 17.500l-1.800 1.800a4.600 4.600 0 0 1-6.500-6.500L6.500 11",
};
const Sign = ({ of }: { of: string }) => <svg viewBox="0 0 24 24" aria-hidden="true"><path d={SIGNS[of] ?? ""} /></svg>;
