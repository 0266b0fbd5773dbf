import * as live from "../call/live";
import { Ways } from "../pages/ways";
import { name, OUTCOMES } from "../words";

/** After hanging up: one question, one key. The next call can begin at once, answered or not. */
export function Outcome() {
  const asked = live.asking.value;
  return (
    <section class="outcome">
      {asked === null ? <p class="lead">{live.call.value.outcome ? `Noted: ${name(live.call.value.outcome)}.` : "The call has ended."}</p> : (
        <>
          <p class="kicker"><b>How did it end?</b>{asked.preset && "Enter takes the marked one"}</p>
          <ol>
            {OUTCOMES.map((key, i) => (
              <li key={key}>
                <button type="button" data-testid={`outcome-${key}`} class={key === asked.preset ? "preset" : ""} onClick={() => void live.chooseOutcome(key)}>
                  <kbd>{i + 1}</kbd> {name(key)}{key === asked.preset && asked.why && <em>{asked.why}</em>}
                </button>
              </li>
            ))}
          </ol>
        </>
      )}
      <Ways small />
    </section>
  );
}
