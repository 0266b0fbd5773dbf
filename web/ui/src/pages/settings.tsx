import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import * as api from "../api";
import { when } from "../words";

const ways = signal<api.Way[]>([]);
const plan = signal<api.Plan | null>(null);
const list = signal<api.DoNotCall>({ entries: [], removed: [] });
const weighed = signal<api.Weighed | null>(null);
const text = signal("");
const wrong = signal("");
const said = signal("");
const trouble = signal("");

const tried = (work: Promise<unknown>, into = trouble) =>
  void work.then(() => (into.value = ""), (failure: unknown) => (into.value = failure instanceof Error ? failure.message : "That did not work."));

const loadWays = async () => { ways.value = (await api.ways()).ways; };
const loadList = async (q = "") => { list.value = await api.doNotCall(q); };
const loadPlan = async () => {
  plan.value = await api.plan();
  text.value = plan.value.text;
  wrong.value = plan.value.refusal;
};

export function Settings() {
  useEffect(() => {
    tried(Promise.all([loadWays(), loadPlan(), loadList()]));
    const timer = setInterval(() => tried(loadWays()), 5_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <main class="page settings">
      <h1>Phones</h1>
      <p class="trouble" role="alert">{trouble.value}</p>
      <WaysIn />
      <div class="columns">
        <Rules />
        <div class="after">
          <InForce />
          <Weigh />
          <DoNotCall />
        </div>
      </div>
    </main>
  );
}

const TITLE: Record<string, [string, string]> = {
  twilio: ["Twilio", "Set SOTTOVOCE_TWILIO_TOKEN and SOTTOVOCE_ORIGINS."],
  telnyx: ["Telnyx", "Set SOTTOVOCE_TELNYX_KEY and SOTTOVOCE_ORIGINS."],
  audiosocket: ["Asterisk AudioSocket", "Set SOTTOVOCE_AUDIOSOCKET and SOTTOVOCE_AUDIOSOCKET_SECRET."],
};

function WaysIn() {
  return (
    <section class="ways-in" aria-label="Ways in">
      {ways.value.map((way) => {
        const [title, how] = TITLE[way.way] ?? [way.way, ""];
        return (
          <article key={way.way} data-testid={`way-${way.way}`} class={way.wrong ? "bad" : way.on ? "on" : ""}>
            <h2>{title}</h2>
            <p class="state">{way.wrong ? "Needs a hand" : !way.on ? "Off" : way.live > 0 ? `${way.live} live` : "Ready"}</p>
            <p>{way.wrong || (way.on ? <>Reached at <code>{way.where}</code></> : how)}</p>
            {way.on && <p class="facts">{way.taken} calls taken{way.last_at !== null && `, the last ${when(way.last_at)}`} · {way.lost_chunks} pieces of sound lost</p>}
            {way.refused > 0 && <p class="refusal">{way.refused} refused; the last, {when(way.refused_at)}: {way.refusal}.</p>}
          </article>
        );
      })}
    </section>
  );
}

function Rules() {
  const save = () =>
    tried(
      api.changePlan(text.peek()).then((now) => {
        plan.value = now;
        said.value = `In force since ${when(Date.now() / 1000)}.`;
      }, (failure: unknown) => {
        said.value = "";
        throw failure;
      }),
      wrong,
    );
  return (
    <section class="rules">
      <h2>Who is who, and what may be dialled</h2>
      <p class="facts">{plan.value?.file}</p>
      <textarea data-testid="plan" aria-label="The phones file" spellcheck={false} rows={24} value={text.value}
        onInput={(e) => (text.value = (e.currentTarget as HTMLTextAreaElement).value)} />
      <p class="trouble lines" role="alert" data-testid="plan-wrong">{wrong.value}</p>
      <p><button type="button" class="primary" data-testid="plan-save" onClick={save}>Check and put in force</button> <span role="status">{said.value}</span></p>
    </section>
  );
}

function InForce() {
  const now = plan.value;
  if (now === null) return null;
  return (
    <section data-testid="in-force">
      <h2>In force</h2>
      {now.rules.length === 0 ? <p>No rules: every caller is a new lead.</p> : (
        <dl class="sheet">{now.rules.map((rule, i) => <div key={i}><dt>{rule.who}</dt><dd>{rule.fits}</dd></div>)}</dl>
      )}
      <dl class="sheet">
        <div><dt>Open abroad</dt><dd>{now.open.join(", ") || "nothing"}</dd></div>
        <div><dt>Open premium</dt><dd>{now.premium.join(", ") || "nothing"}</dd></div>
        <div><dt>Hours</dt><dd>{now.hours[0]}:00 to {now.hours[1]}:00, the callee's clock</dd></div>
        <div><dt>Announcement</dt><dd>{now.announcement || "none"}</dd></div>
        <div><dt>Never through us</dt><dd>911, 933, 112, 988 and the other service numbers</dd></div>
      </dl>
    </section>
  );
}

function Weigh() {
  const ask = (event: SubmitEvent) => {
    event.preventDefault();
    const number = String(new FormData(event.currentTarget as HTMLFormElement).get("number") ?? "");
    tried(api.weigh(number).then((now) => (weighed.value = now)));
  };
  const now = weighed.value;
  return (
    <section>
      <h2>May this be dialled now?</h2>
      <form class="one-line" onSubmit={ask}>
        <input name="number" type="tel" required aria-label="Number" data-testid="weigh-number" />
        <button type="submit" data-testid="weigh">Ask</button>
      </form>
      {now && <p data-testid="weighed" class={now.refused ? "refusal" : ""}><b>{now.number}</b> {now.why}</p>}
    </section>
  );
}

function DoNotCall() {
  const put = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const field = new FormData(form);
    tried(api.putOn(String(field.get("number")), String(field.get("why"))).then(() => {
      form.reset();
      return loadList();
    }));
  };
  const remove = (number: string) => {
    const why = prompt(`Why may ${number} be called again? Your name and this reason are kept.`)?.trim();
    if (why) tried(api.takeOff(number, why).then((now) => (list.value = now)));
  };
  const { entries, removed } = list.value;
  return (
    <section data-testid="do-not-call">
      <h2>Do not call</h2>
      <input type="search" aria-label="Search the list" placeholder="Find a number" onInput={(e) => tried(loadList((e.currentTarget as HTMLInputElement).value))} />
      {entries.length === 0 && <p>Nobody is on the list.</p>}
      <ul class="listed">
        {entries.map((e) => (
          <li key={e.number}>
            <b>{e.number}</b> <span class="facts">{when(e.at)}</span>
            <button type="button" class="quiet danger" onClick={() => remove(e.number)}>Take off</button>
            <span class="why">“{e.why}”</span>
          </li>
        ))}
      </ul>
      <form class="one-line" onSubmit={put}>
        <input name="number" type="tel" required minLength={2} placeholder="Number" aria-label="Number that asked not to be called" />
        <input name="why" required minLength={3} placeholder="How they asked" aria-label="How they asked" />
        <button type="submit">Add</button>
      </form>
      {removed.length > 0 && (
        <details><summary>{removed.length} taken off</summary>
          <ul class="listed">{removed.map((r, i) => <li key={i}><b>{r.number}</b> <span class="facts">{when(r.at)}, {r.by}</span><span class="why">{r.why}</span></li>)}</ul>
        </details>
      )}
    </section>
  );
}
