import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../api";
import { rows } from "../call/rows";
import { listenIn } from "../call/begin";
import * as live from "../call/live";
import { kept } from "../overlay/notes";
import { go } from "../router";
import type { CallView, Line } from "../wire";
import { clock, name, OUTCOMES, when } from "../words";
import { After } from "./after";

/** The page of one call: what was said on the left, what came of it on the right. */
export function CallPage({ id }: { id: string }) {
  const [view, setView] = useState<CallView | null>(null);
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    let gone = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const load = async () => {
      try {
        const now = await api.read(id);
        if (gone) return;
        setView(now);
        // The summary is made after the end; it never holds anybody up.
        if (now.state === "live" || now.summary === null) timer = setTimeout(() => void load(), 1_500);
      } catch (failure) {
        if (!gone) setTrouble(failure instanceof Error ? failure.message : "");
      }
    };
    void load();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [id]);
  if (trouble) return <main class="page"><p class="trouble" role="alert">{trouble}</p></main>;
  if (view === null) return <main class="page" aria-busy="true" />;
  return (
    <main class="page call">
      <Head view={view} onView={setView} onTrouble={setTrouble} />
      <div class="columns">
        <Transcript view={view} />
        <After view={view} />
      </div>
    </main>
  );
}

const FORMATS = [["json", "JSON"], ["md", "Markdown"], ["vtt", "WebVTT"]] as const;

interface HeadProps { view: CallView; onView(view: CallView): void; onTrouble(why: string): void }

function Head({ view, onView, onTrouble }: HeadProps) {
  const tried = (work: Promise<void>) => void work.catch((failure: unknown) => onTrouble(failure instanceof Error ? failure.message : ""));
  const choose = (event: Event) =>
    tried(api.outcome(view.id, (event.currentTarget as HTMLSelectElement).value).then((now) => {
      if (live.asking.peek()?.id === view.id) live.asking.value = null;
      onView(now);
    }));
  const erase = () => {
    if (!confirm("Delete this call, its words and its recording for good?")) return;
    tried(api.remove(view.id).then(() => go("/calls")));
  };
  const long = view.started_at !== null && view.ended_at !== null ? clock((view.ended_at - view.started_at) * 1000) : "live";
  return (
    <header class="call-head">
      <div>
        <h1>{view.contact?.name || view.contact?.number || name(view.mode)}</h1>
        <p class="facts">{when(view.started_at)} · {long} · {name(view.mode)}{view.contact?.number && view.contact.name ? ` · ${view.contact.number}` : ""} · {view.recorded ? "recorded" : "not recorded"}</p>
      </div>
      <div class="call-tools">
        {view.state === "live" && view.mode === "livekit" && live.id.value !== view.id && (
          <button type="button" class="quiet" data-testid="listen-in" onClick={() => void listenIn(view).then((came) => (came ? go("/overlay") : onTrouble(live.trouble.peek())))}>Listen in</button>
        )}
        <label>Outcome
          <select value={view.outcome || view.outcome_preset} data-testid="outcome" onChange={choose} disabled={view.state === "live"}>
            {!view.outcome && !view.outcome_preset && <option value="">—</option>}
            {OUTCOMES.map((o) => <option key={o} value={o}>{name(o)}</option>)}
          </select>
        </label>
        <span class="export">Export {FORMATS.map(([f, said]) => <a key={f} download data-testid={`export-${f}`} href={`/api/calls/${view.id}/export?format=${f}`}>{said}</a>)}</span>
        <button type="button" class="quiet danger" data-testid="delete" onClick={erase}>Delete</button>
      </div>
    </header>
  );
}

function Transcript({ view }: { view: CallView }) {
  const sound = useRef<HTMLAudioElement>(null);
  const recorded = view.recorded;
  const [heard, setHeard] = useState("");
  const play = (line: Line) => {
    if (!recorded || sound.current === null) return;
    sound.current.src = `/api/calls/${view.id}/audio?from_ms=${line.start_ms}&to_ms=${line.end_ms + 300}`;
    setHeard(line.utterance);
    void sound.current.play();
  };
  const said = rows(view.transcript, view.gaps);
  const notes = kept(view.id);
  return (
    <section class="transcript" aria-label="Transcript" data-testid="transcript">
      {notes && <blockquote class="own-notes"><b>Your notes</b>{notes}</blockquote>}
      {said.length === 0 && <p class="none">Nothing was transcribed.</p>}
      {said.map(({ line, gap }) =>
        line !== null ? (
          <p key={line.utterance} id={`u-${line.utterance}`} class={`said ${line.speaker}${heard === line.utterance ? " heard" : ""}`}>
            <button type="button" class="at" data-testid="hear" disabled={!recorded} title={recorded ? "Hear it" : "Not recorded"} onClick={() => play(line)}>{clock(line.start_ms)}</button>
            <span class="whose">{line.speaker === "agent" ? "You" : view.contact?.name || "Prospect"}</span>
            <span onClick={() => play(line)} class={recorded ? "text can-hear" : "text"}>{line.text}</span>
          </p>
        ) : (
          <p key={`gap-${gap.start_ms}`} class="gap">{clock(gap.start_ms)}–{clock(gap.end_ms)} not heard: {gap.why}</p>
        ),
      )}
      <audio ref={sound} onEnded={() => setHeard("")} />
    </section>
  );
}
