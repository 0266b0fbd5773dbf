import * as live from "../call/live";
import { Ways } from "../pages/ways";
import { go } from "../router";
import { Behind } from "./behind";
import { Captions } from "./captions";
import { Talk } from "./talk";
import { Head, Notices } from "./head";
import { Outcome } from "./outcome";
import { Place } from "./place";
import { popOut, popped } from "./popout";
import { flip, hidden } from "./view";

/** Fixed places, top to bottom: state, notice, words to say, what is behind them, captions, controls. Nothing pushes anything. */
export function Overlay() {
  if (live.id.value === null) return <Ready />;
  if (hidden.value) return <main class="overlay is-hidden"><button type="button" class="quiet" onClick={() => (hidden.value = false)}><kbd>H</kbd> shows it again</button></main>;
  const over = live.call.value.ended !== null || live.asking.value !== null;
  return (
    <main class="overlay">
      <div class="stage">
        <Head />
        <Notices />
        {over ? <Outcome /> : <><Place /><Behind /></>}
        <Captions />
        <Controls />
      </div>
      <Talk />
    </main>
  );
}

function Ready() {
  return (
    <main class="overlay ready">
      <div class="stage">
        <p class="lead">No call yet.</p>
        <Ways small />
        {!popped.value && <button type="button" class="quiet" data-testid="pop-out" onClick={() => void popOut()}>Open in a window of its own, on top of your dialer</button>}
      </div>
    </main>
  );
}

function Controls() {
  const live_ = live.busy.value;
  const phone = live.call.value.mode === "phone"; // the people talk elsewhere; this ends the coaching only
  return (
    <footer class="controls">
      {live_ && live.watching.value ? (
        <>
          <button type="button" class="quiet" data-testid="leave" onClick={() => void live.hangUp()}>Stop listening</button>
          <button type="button" class="quiet" data-testid="whisper" aria-pressed={live.whispering.value} onClick={live.whisper}>{live.whispering.value ? "The agent hears you" : "Speak to the agent"}</button>
        </>
      ) : live_ ? (
        <>
          <button type="button" class="hang-up" data-testid="hang-up" title="⇧E" onClick={() => void live.hangUp()}>{phone ? "Stop coaching" : "Hang up"}</button>
          {!phone && <button type="button" class="quiet" aria-pressed={live.muted.value} onClick={live.mute}>{live.muted.value ? "Muted" : "Mute"} <kbd>M</kbd></button>}
        </>
      ) : (
        <button type="button" class="quiet" data-testid="read-call" onClick={() => live.id.peek() && go(`/calls/${live.id.peek()}`)}>Read the call</button>
      )}
      <span class="gap" />
      {live_ && <button type="button" class="quiet" data-testid="open-sheet" onClick={() => flip("sheet")}>Sheet <kbd>S</kbd></button>}
      {!popped.value && <button type="button" class="quiet" data-testid="pop-out" onClick={() => void popOut()}>Pop out <kbd>P</kbd></button>}
      <button type="button" class="quiet" aria-label="Keys" onClick={() => flip("keys")}><kbd>?</kbd></button>
    </footer>
  );
}
