import { tabAgain } from "../call/begin";
import * as live from "../call/live";
import { noticed } from "./glance";

/** What is going on, in one word; and the only two figures that ever stand here, when they ask for something. */
export function Head() {
  const { consent, contact, ended, mode } = live.call.value;
  const asked = live.asked.value;
  const share = live.lane.value?.talk_share;
  const open = consent?.transcribe || consent?.agent_only;
  const [word, tone] =
    live.line.value === "lost" ? ["Reconnecting", "warn"]
    : ended !== null ? ["Ended", "off"]
    : (mode === "browser" || mode === "livekit") && !live.present.value && !live.watching.value ? ["Waiting for them", "off"]
    : consent === null ? ["Connecting", "off"]
    : open ? [consent.agent_only && !consent.transcribe ? "Hearing you only" : "Listening", "on"]
    : ["Not listening", "warn"];
  return (
    <header class="o-head">
      <span class={`lamp ${tone}`} aria-hidden="true" />
      <span class="o-state" role="status">{word}</span>
      <span class="o-who">{contact?.name || contact?.number}</span>
      <span class="o-asks">
        {ended !== null ? "" : asked.share && share != null ? `You talk ${Math.round(share * 20) * 5} %` : asked.pace ? "A little slower" : ""}
      </span>
    </header>
  );
}

/** One line, kept free even when there is nothing to say. */
export function Notices() {
  const { notices, mode, ended } = live.call.value;
  if (live.busy.value && !live.carried.value) return <Soundless tab={mode === "tab"} />;
  const shown = live.trouble.value || (ended === null ? noticed(notices, live.lane.value) : "");
  return (
    <p class="o-notice" role="status">
      {shown && <span data-testid="notice">{shown}</span>}
    </p>
  );
}

/** The page was loaded anew in mid-call, and its sound went with the old page. */
function Soundless({ tab }: { tab: boolean }) {
  const id = live.id.value ?? "";
  return (
    <p class="o-notice" role="status">
      <span data-testid="notice">{live.tabGone.value ? "The other tab's sound was stopped. " : "This page was reloaded, its sound is gone. "}</span>
      {tab ? <button type="button" class="link" data-testid="share-again" onClick={() => void tabAgain(id)}>Share the tab again</button> : "Hang up and begin again."}
    </p>
  );
}
