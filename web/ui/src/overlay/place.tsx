import { useState } from "preact/hooks";
import * as live from "../call/live";
import { Consent } from "./consent";
import { consentAsks } from "./glance";
import { keep, kept } from "./notes";
import type { ShownCard } from "../call/fold";
import { name } from "../words";
import { Page } from "./book";
import { flip, page } from "./view";

/** The place for words to say: a card, or the sentence that asks for consent, or nothing. */
export function Place() {
  const call = live.call.value;
  const card = live.standing.value;
  if (consentAsks(call)) return <Consent />;
  if (page.value !== null) return <Page of={page.value} />;
  if (call.consent !== null && !call.consent.transcribe && !call.consent.agent_only) return <Notes />;
  return (
    <section class="place" aria-live="polite" aria-atomic="true">
      {card ? <CardView key={card.id} card={card} /> : <Quiet />}
    </section>
  );
}

function Quiet() {
  const { invite } = live;
  if (invite.value && !live.present.value) return <Invite url={invite.value} />;
  return <p class="quiet-words">{live.call.value.cards.length === 0 ? "Listen. The words come when they help." : ""}</p>;
}

function Invite({ url }: { url: string }) {
  const [said, setSaid] = useState("Copy the link");
  return (
    <div class="invite">
      <p class="kicker">For the other person</p>
      <input readOnly value={url} data-testid="invite-link" aria-label="Link for the other person" onFocus={(e) => e.currentTarget.select()} />
      <button type="button" class="primary" onClick={() => void navigator.clipboard.writeText(url).then(() => setSaid("Copied"), () => setSaid("Select and copy it"))}>{said}</button>
    </div>
  );
}

function CardView({ card }: { card: ShownCard }) {
  const judged = card.changes.findLast((c) => c.startsWith("thumbs"));
  const off = card.state === "taken_back";
  const length = card.say.length > 150 ? "long" : card.say.length > 105 ? "middling" : "";
  return (
    <article class={`card ${card.kind} ${off ? "taken-back" : ""}`} data-testid="card" data-card={card.id} data-state={card.state}>
      <p class="kicker"><b>{name(card.kind)}</b>{card.title.replace(/^Careful: /, "")}{off && <i>taken back</i>}</p>
      <p class={`say ${length}`} data-testid="card-say">{card.say}</p>
      <div class="verdict">
        <button type="button" class="quiet" data-testid="card-why-open" onClick={() => flip("why")}><kbd>W</kbd> why</button>
        <button type="button" class="quiet" data-testid="thumbs-up" aria-pressed={judged === "thumbs_up"} onClick={() => void live.judge(card.id, "thumbs_up")}><kbd>↑</kbd> good</button>
        <button type="button" class="quiet" data-testid="thumbs-down" aria-pressed={judged === "thumbs_down"} onClick={() => void live.judge(card.id, "thumbs_down")}><kbd>↓</kbd> bad</button>
        <button type="button" class="quiet" data-testid="dismiss" onClick={() => void live.judge(card.id, "dismissed")}><kbd>X</kbd> away</button>
      </div>
    </article>
  );
}

/** Nobody is listened to. The agent's own notes still have a place. */
function Notes() {
  const id = live.id.value ?? "";
  return (
    <section class="place notes">
      <p class="kicker"><b>Not listening</b>no word is heard or kept</p>
      <textarea data-testid="notes" aria-label="Your notes" placeholder="Your own notes. They stay in this browser." defaultValue={kept(id)} onInput={(e) => keep(id, e.currentTarget.value)} />
      <button type="button" class="quiet" data-testid="agree-now" onClick={() => void live.consent("granted")}>They agree now</button>
    </section>
  );
}
