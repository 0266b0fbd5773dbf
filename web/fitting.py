"""`sottovoce calls fit`: the chance of a next step, calibrated on this brokerage's own ended calls."""

import datetime
import json
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from coaching.events import StageChanged
from coaching.state import CallState
from intelligence.conversation.fitting import Fit, fit
from intelligence.conversation.history import Message
from intelligence.conversation.trajectory import PRIOR, Calibration
from web.compose import Machine, conversation_intelligence
from web.store import Store
from web.tables import calls

FILE: Final = "trajectory.json"  # calibration.json is what this machine can decode
WON: Final = frozenset({"appointment", "next_step"})
LOST: Final = frozenset({"lost", "do_not_call"})


def messages_of(state: CallState) -> list[Message]:
    return [Message(line.speaker, line.text, "call", line.start_ms) for line in state.transcript() if line.final]


async def fit_calls(store: Store, machine: Machine, folder: Path) -> Fit:
    """Reads every ended call with an outcome, fits, and keeps the result where it beats the prior. Raises NotEnoughCalls."""
    intelligence = conversation_intelligence(machine, Calibration(PRIOR), [])
    rows, won, paths = [], [], []
    query = sa.select(calls.c.id, calls.c.outcome).where(calls.c.outcome.in_(WON | LOST), calls.c.ended_at.is_not(None))
    for row in await store.rows(query.order_by(calls.c.started_at)):
        events = await store.all_events(row["id"])
        state = CallState.of(events)
        messages = messages_of(state)
        if len(messages) < 4:
            continue
        rows.append(await intelligence.measured(messages, state.started.today if state.started else ""))
        won.append(row["outcome"] in WON)
        if won[-1]:
            paths.append(["opening", *(e.event.stage for e in events if isinstance(e.event, StageChanged))])
    fitted = fit(rows, won, datetime.datetime.now().astimezone().date().isoformat())
    if fitted.better:
        kept = {
            "weights": dict(fitted.calibration.weights),
            "n": fitted.calibration.n,
            "as_of": fitted.calibration.as_of,
            "won_stages": paths,
        }
        (folder / FILE).write_text(json.dumps(kept))
    return fitted


def calibration_of(folder: Path) -> tuple[Calibration, list[list[str]]]:
    """What was fitted last, with the stages of the won calls; else the prior."""
    file = folder / FILE
    paths = json.loads(file.read_text()).get("won_stages", []) if file.exists() else []
    return Calibration.load(file), paths
