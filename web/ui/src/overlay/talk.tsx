import { useEffect, useRef } from "preact/hooks";
import * as live from "../call/live";
import { rows } from "../call/rows";
import { clock } from "../words";

/** The whole talk beside the overlay, where the window is wide enough for it. */
export function Talk() {
  const { lines, gaps } = live.call.value;
  const end = useRef<HTMLDivElement>(null);
  const stick = useRef(true);
  useEffect(() => {
    const box = end.current?.parentElement;
    if (stick.current && box) box.scrollTop = box.scrollHeight;
  }, [lines]);
  return (
    <aside class="talk" aria-label="The talk so far" onScroll={(e) => {
      const box = e.currentTarget;
      stick.current = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    }}>
      {rows(lines, gaps).map(({ line, gap }) =>
        line !== null ? <p key={line.utterance} class={`said ${line.speaker}`}><time>{clock(line.start_ms)}</time>{line.text}</p>
          : <p key={`gap-${gap.start_ms}`} class="gap">{clock(gap.start_ms)}–{clock(gap.end_ms)} not heard</p>,
      )}
      <div ref={end} />
    </aside>
  );
}
