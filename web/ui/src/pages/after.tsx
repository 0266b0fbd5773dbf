import { useState } from "preact/hooks";
import type { CallView, Summary } from "../wire";
import { clock, name, SLOTS } from "../words";

const HANDLED = { answered: "answered", moved_on: "passed over", open: "open" } as const;

function show(utterance: string): void {
  const line = document.getElementById(`u-${utterance}`);
  line?.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  line?.classList.add("found");
  setTimeout(() => line?.classList.remove("found"), 2_500);
}

/** What came of the call. Every line leads to the words it rests on. */
export function After({ view }: { view: CallView }) {
  const summary = view.summary;
  return (
    <aside class="after" data-testid="summary" aria-label="Summary">
      {summary === null ? <p class="none">{view.state === "live" ? "The call is live." : "The summary is being written…"}</p> : <Summed summary={summary} />}
      <Sheet view={view} />
    </aside>
  );
}

function Summed({ summary }: { summary: Summary }) {
  return (
    <>
      <section>
        <h2>Summary</h2>
        {summary.lines.map((l, i) => <p key={i} class="line">{l.text}{l.utterance && <Source utterance={l.utterance} at={l.at_ms} />}</p>)}
        <Copy text={summary.crm_note} />
      </section>
      {summary.action_items.length > 0 && (
        <section>
          <h2>To do</h2>
          <ul>
            {summary.action_items.map((a, i) => (
              <li key={i}><b>{a.who === "agent" ? "You" : "They"}</b> {a.what}{a.due && <em> · {a.due}</em>}{a.utterance && <Source utterance={a.utterance} at={null} />}</li>
            ))}
          </ul>
        </section>
      )}
      {summary.objections.length > 0 && (
        <section>
          <h2>Objections</h2>
          {summary.objections.map((o, i) => (
            <div key={i} class={`objection ${o.handled}`}>
              <p><b>{name(o.label)}</b> <span class="handled">{HANDLED[o.handled]}</span><Source utterance={o.utterance} at={o.at_ms} /></p>
              <p class="quote">“{o.quote}”</p>
              {o.answer && <p class="answer">You: {o.answer}</p>}
            </div>
          ))}
        </section>
      )}
    </>
  );
}

const Source = ({ utterance, at }: { utterance: string; at: number | null }) => (
  <button type="button" class="source" onClick={() => show(utterance)} title="Show it in the transcript">{at === null ? "↖" : clock(at)}</button>
);

function Copy({ text }: { text: string }) {
  const [said, setSaid] = useState("Copy CRM note");
  const copy = () =>
    navigator.clipboard.writeText(text).then(() => setSaid("Copied"), () => setSaid("The browser did not allow copying"));
  return <button type="button" class="primary" data-testid="copy-note" onClick={() => void copy()}>{said}</button>;
}

function Sheet({ view }: { view: CallView }) {
  const known = SLOTS.filter((slot) => view.sheet[slot] !== undefined);
  if (known.length === 0) return null;
  return (
    <section>
      <h2>What is known</h2>
      <dl class="sheet">
        {known.map((slot) => {
          const s = view.sheet[slot]!;
          return <div key={slot}><dt>{name(slot)}</dt><dd>{s.shown}{s.utterance && <Source utterance={s.utterance} at={null} />}</dd></div>;
        })}
      </dl>
    </section>
  );
}
