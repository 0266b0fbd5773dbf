import { useState } from "preact/hooks";
import * as api from "../api";
import * as live from "../call/live";

/** The sentence to read aloud, in the place for words to say, and one key. Recording and Claude are yeses of their own. */
export function Consent() {
  const [record, setRecord] = useState(false);
  const [claude, setClaude] = useState(false);
  const { invite } = live;
  const agreed = () => {
    const id = live.id.peek();
    if (id === null) return;
    void api.consent(id, "granted", { ...(record ? { record } : {}), ...(claude ? { claude } : {}) }).catch((failure: Error) => { live.trouble.value = failure.message; });
  };
  return (
    <section class="place consent" data-testid="consent-bar" aria-label="Consent">
      <p class="kicker"><b>Read aloud</b>{live.call.value.consent?.rule.split(":")[0]}</p>
      <p class="say long">{live.sentence.value}</p>
      {invite.value && !live.present.value && (
        <label class="invite-line">Their link <input readOnly value={invite.value} data-testid="invite-link" onFocus={(e) => e.currentTarget.select()} /></label>
      )}
      <div class="verdict">
        <button type="button" class="primary" data-testid="consent-grant" onClick={agreed}><kbd>G</kbd> They agree</button>
        <button type="button" class="quiet" data-testid="consent-refuse" onClick={() => void live.consent("refused")}><kbd>R</kbd> They decline</button>
        <label class="also"><input type="checkbox" checked={record} onChange={(e) => setRecord(e.currentTarget.checked)} /> to recording too</label>
        <label class="also"><input type="checkbox" checked={claude} onChange={(e) => setClaude(e.currentTarget.checked)} /> to Claude too</label>
      </div>
    </section>
  );
}
