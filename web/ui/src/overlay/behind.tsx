import * as live from "../call/live";
import type { ShownCard } from "../call/fold";
import { clock, name, SLOTS } from "../words";
import { Book } from "./book";
import { Yeses } from "./consent";
import { consentAsks, sheetAsks } from "./glance";
import { KEYS } from "./keys";
import { behind } from "./view";

/** One step behind the words: the why, the sheet, the keys; else the earlier cards, folded to a line each. */
export function Behind() {
  const card = live.standing.value;
  const open = behind.value;
  const { consent } = live.call.value;
  const shut = consent !== null && !consent.transcribe && !consentAsks(live.call.value);
  return (
    <section class="behind">
      {open === "keys" ? <Keys />
        : open === "yeses" ? <Yeses />
        : open === "book" ? <Book />
        : open === "sheet" ? <Sheet />
        : open === "why" && card ? <Why card={card} />
        : shut ? <Book />
        : sheetAsks(card) ? <Sheet missing />
        : <Folded />}
    </section>
  );
}

function Why({ card }: { card: ShownCard }) {
  const whose = card.quote_speaker === "agent" ? "You" : "They";
  return (
    <div class="why" data-testid="card-why">
      <p>{card.why}</p>
      {card.quote && <p class="quote">{whose}{card.quote_ms !== null && <time> {clock(card.quote_ms)}</time>}: “{card.quote}”</p>}
      <p class="fine">{[card.source, card.tier === "claude" ? "Claude" : "local", card.took_ms === null ? "" : `${card.took_ms} ms`].filter(Boolean).join(" · ")}</p>
    </div>
  );
}

function Folded() {
  const { desk, call } = live;
  const { waiting, folded } = desk.value;
  const by = new Map(call.value.cards.map((c) => [c.id, c]));
  const earlier = folded.map((id) => by.get(id)).filter((c) => c !== undefined).reverse().slice(0, 3);
  return (
    <ol class="folded">
      {waiting.length === 0 && earlier.length === 0 && <li class="none">{call.value.cards.length > 0 ? "Earlier cards fold away here." : ""}</li>}
      {waiting.length > 0 && <li class="waits"><button type="button" onClick={live.next}><kbd>N</kbd> {name(by.get(waiting.at(-1)!)?.kind ?? "")}: {by.get(waiting.at(-1)!)?.title}</button></li>}
      {earlier.slice(0, waiting.length > 0 ? 2 : 3).map((card) => (
        <li key={card.id} class={card.state === "taken_back" ? "taken-back" : ""}>
          <button type="button" data-testid="folded" onClick={() => live.pick(card.id)}><b>{card.title}</b> {card.say}</button>
        </li>
      ))}
    </ol>
  );
}

/** What is known; `missing` shows only what is not. */
function Sheet({ missing = false }: { missing?: boolean }) {
  const { sheet, stage } = live.call.value;
  const slots = missing ? SLOTS.filter((s) => sheet[s] === undefined) : SLOTS;
  return (
    <dl class="sheet" data-testid="sheet" aria-label={missing ? "Still missing" : `What is known; ${name(stage)}`}>
      {slots.map((slot) => (
        <div key={slot} class={sheet[slot] ? "known" : "open"}>
          <dt>{name(slot)}</dt>
          <dd title={sheet[slot]?.quote}>{sheet[slot]?.shown ?? "—"}</dd>
        </div>
      ))}
    </dl>
  );
}

const Keys = () => (
  <dl class="keys">
    {KEYS.map((k) => <div key={k.key}><dt><kbd>{k.shown}</kbd></dt><dd>{k.does}</dd></div>)}
  </dl>
);
