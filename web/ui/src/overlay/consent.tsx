import type { ComponentChildren } from "preact";
import * as live from "../call/live";
import { also, tick } from "./view";

/** The sentence to read aloud, in the place for words to say, and one key. Recording and Claude are yeses of their own. */
export function Consent() {
  const { invite } = live;
  return (
    <section class="place consent" data-testid="consent-bar" aria-label="Consent">
      <p class="kicker"><b>Read aloud</b><Rule /></p>
      <p class="say long" data-testid="consent-sentence">{live.sentence.value}</p>
      {invite.value && !live.present.value && <InviteLine url={invite.value} />}
      <div class="verdict">
        <button type="button" class="primary" data-testid="consent-grant" onClick={() => live.agreed(also.peek())}><kbd>G</kbd> They agree</button>
        <button type="button" class="quiet" data-testid="consent-refuse" onClick={() => void live.consent("refused")}><kbd>R</kbd> They decline</button>
        <Also which="record"><kbd>1</kbd> to recording too</Also>
        <Also which="claude"><kbd>2</kbd> to Claude too</Also>
      </div>
    </section>
  );
}

/** Whose yes the law wants, in four words; the source stands behind (C). */
function Rule() {
  const rule = live.call.value.consent?.rule ?? "";
  return <span title={rule}>{rule.startsWith("all") ? "everybody must agree" : rule.startsWith("one") ? "one side must agree" : ""}</span>;
}

function InviteLine({ url }: { url: string }) {
  return (
    <label class="invite-line">Their link <input readOnly value={url} data-testid="invite-link" onFocus={(e) => e.currentTarget.select()} />
      <button type="button" class="quiet" onClick={() => void navigator.clipboard.writeText(url)}>Copy</button>
    </label>
  );
}

function Also({ which, children }: { which: "record" | "claude"; children: ComponentChildren }) {
  return <label class="also"><input type="checkbox" data-testid={`also-${which}`} checked={also.value[which]} onChange={() => tick(which)} /><span>{children}</span></label>;
}

/** The three yeses as they stand, each to be given or taken back in mid-call. */
export function Yeses() {
  const consent = live.call.value.consent;
  if (consent === null) return null;
  const { transcribe, record, claude, rule } = consent;
  const flip = (what: "record" | "claude", now: boolean) => live.agreed({ record, claude, [what]: !now });
  return (
    <div class="yeses" data-testid="yeses">
      <p class="fine">{rule}</p>
      {transcribe ? <button type="button" data-testid="revoke" onClick={() => void live.consent("revoked")}>They take it back: stop and erase</button>
        : <button type="button" data-testid="agree-now" onClick={() => void live.consent("granted")}>They agree now</button>}
      {transcribe && <button type="button" class="quiet" aria-pressed={record} data-testid="yes-record" onClick={() => flip("record", record)}>{record ? "Recording" : "Not recording"}</button>}
      {transcribe && <button type="button" class="quiet" aria-pressed={claude} data-testid="yes-claude" onClick={() => flip("claude", claude)}>{claude ? "Words may go to Claude" : "No word goes to Claude"}</button>}
    </div>
  );
}
