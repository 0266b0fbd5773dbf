import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import * as api from "../api";
import * as live from "../call/live";
import { follow, ringing } from "../call/ringing";
import { go, stay } from "../router";
import { Calls } from "./calls";
import { Ways } from "./ways";

const status = signal<api.Status | null>(null);

export function Home() {
  useEffect(() => {
    void api.status().then((now) => (status.value = now), () => undefined);
  }, []);
  return (
    <main class="page home">
      <section class="begin">
        <h1>The right words,<br /><em>under your voice.</em></h1>
        {live.busy.value && <p class="going-on">A call is live. <a href="/overlay" onClick={stay}>Go to it</a></p>}
        <Ringing />
        <Ways />
        <Missing />
      </section>
      <Calls />
    </main>
  );
}

function Ringing() {
  const row = ringing.value;
  if (row === null) return null;
  const take = () => void follow(row).then(() => go("/overlay"));
  return <p class="going-on" role="status">A telephone call is live: {row.name || row.number || "number withheld"}. <button type="button" data-testid="follow" onClick={take}>Coach me</button></p>;
}

function Missing() {
  const now = status.value;
  if (now === null) return null;
  return (
    <footer class="missing">
      {!now.engine.alive && <p class="warn">The recogniser is not running yet; captions begin when it is.</p>}
      {now.missing.map((m) => <p key={m.what}><b>{m.what}</b> {m.why} <span>{m.fix}</span></p>)}
    </footer>
  );
}
