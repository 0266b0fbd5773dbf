import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import * as api from "../api";
import { stay } from "../router";
import type { CallRow } from "../wire";
import { clock, name, when } from "../words";

const rows = signal<CallRow[] | null>(null);
const more = signal<string>("");
const query = signal("");
const trouble = signal("");
let timer: ReturnType<typeof setTimeout> | undefined;
let asked = 0;

async function load(before?: string): Promise<void> {
  const turn = ++asked;
  try {
    const answer = await api.list(query.peek(), before);
    if (turn !== asked) return; // a newer search is on its way
    rows.value = before ? [...(rows.peek() ?? []), ...answer.calls] : answer.calls;
    more.value = answer.next === null ? "" : String(answer.next);
    trouble.value = "";
  } catch (failure) {
    if (turn === asked) trouble.value = failure instanceof Error ? failure.message : "";
  }
}

function search(event: InputEvent): void {
  query.value = (event.currentTarget as HTMLInputElement).value;
  clearTimeout(timer);
  timer = setTimeout(() => void load(), 180);
}

export function Calls({ heading = false }: { heading?: boolean }) {
  useEffect(() => void load(), []);
  const found = rows.value;
  return (
    <section class="calls">
      <div class="calls-head">
        {heading ? <h1>Calls</h1> : <h2>Past calls</h2>}
        <input type="search" placeholder="Search names and words" aria-label="Search calls" value={query.value} onInput={search} />
      </div>
      <p class="trouble" role="alert">{trouble.value}</p>
      {found?.length === 0 && <p class="none">{query.value ? "Nothing found." : "No calls yet. The sample is a good first one."}</p>}
      <ol>
        {found?.map((row) => (
          <li key={row.id}>
            <a class="call-row" data-testid="call-row" href={`/calls/${row.id}`} onClick={stay}>
              <span class="who">{row.name || row.number || name(row.mode)}</span>
              <span class="what">{row.name || row.number ? name(row.mode) : ""}</span>
              <span class="how">{row.state === "live" ? "live" : row.outcome ? name(row.outcome) : "—"}</span>
              <span class="long">{row.started_at !== null && row.ended_at !== null ? clock((row.ended_at - row.started_at) * 1000) : ""}</span>
              <time>{when(row.started_at)}</time>
            </a>
          </li>
        ))}
      </ol>
      {more.value && <button type="button" class="quiet" onClick={() => void load(more.peek())}>Earlier ones</button>}
    </section>
  );
}
