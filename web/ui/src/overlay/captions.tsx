import * as live from "../call/live";
import type { Speaker } from "../wire";
import { caption } from "./glance";

/** One lane per side, each of a fixed height and filled from below: neither can push the other, or anything else. */
export function Captions() {
  return (
    <section class="captions" aria-label="Captions">
      <Lane speaker="prospect" whose="They" />
      <Lane speaker="agent" whose="You" />
    </section>
  );
}

function Lane({ speaker, whose }: { speaker: Speaker; whose: string }) {
  const { settled, open } = caption(live.call.value.lines, live.lane.value, speaker);
  return (
    <div class={`lane ${speaker}`}>
      <span class="whose">{whose}</span>
      <p data-testid={`caption-${speaker}`}><span>{settled}{settled && open && " "}{open && <span class="open-tail">{open}</span>}</span></p>
    </div>
  );
}
