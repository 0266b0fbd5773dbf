"""`sottovoce listen`: a call in a terminal, with this computer's microphone and, if wanted, a second device for the other side."""

import asyncio
import contextlib
import datetime
import signal
from collections.abc import Callable, Sequence

from coaching.call import Call
from coaching.consent import ConsentRefused
from coaching.events import (
    CallStarted,
    ConsentChanged,
    Logged,
    NoticeRaised,
    SheetChanged,
    SuggestionShown,
    SummaryMade,
    UtteranceFinal,
)
from voice.legs.microphone import MicrophoneLeg
from web.compose import Machine, open_claude
from web.log import CallLog
from web.settings import Settings
from web.store import Store, new_id

_WHO = {"agent": "you", "prospect": "them"}


def lines_of(logged: Logged) -> list[str]:
    """What a terminal shows of an event."""
    match logged.event:
        case UtteranceFinal(text=text, speaker=speaker) if text:
            return [f"{_WHO[speaker]:>5}  {text}"]
        case SuggestionShown(card=card):
            return ["", f"   ▶  {card.say}", f"      {card.title} · {card.why}", ""]
        case SheetChanged(slot=slot, shown=shown):
            return [f"       {slot.replace('_', ' ')}: {shown}"]
        case NoticeRaised(notice=notice, detail=detail):
            return [f"   !  {notice.replace('_', ' ')}: {detail}"]
        case ConsentChanged(state=state, transcribe=transcribe):
            return [f"   ·  consent {state}: {'listening' if transcribe else 'not listening'}"]
        case SummaryMade(lines=lines, action_items=items):
            return ["", *(line.text for line in lines), *(f"- {item.who}: {item.what}" for item in items)]
        case _:
            return []


class _Printing(CallLog):
    """The call's log, shown as it is committed."""

    def __init__(self, store: Store, call: str, say: Callable[[str], None]) -> None:
        super().__init__(store, call)
        self._say = say

    def _committed(self, logged: list[Logged]) -> None:
        super()._committed(logged)
        for each in logged:
            for line in lines_of(each):
                self._say(line)


async def listen(
    settings: Settings, agent: str | int | None, prospect: str | int | None, *, granted: bool, say: Callable[[str], None]
) -> int:
    """Until Ctrl-C. Raises MicrophoneMissing inside the exception group of the call."""
    store = await Store.open(settings.data, settings.database)
    try:
        say("Loading the speech models …")
        machine = await Machine.open(settings)
        machine.claude = open_claude(settings, store)
        try:
            await _one_call(store, machine, MicrophoneLeg(agent, prospect), granted=granted, alone=prospect is None, say=say)
        finally:
            await machine.models.aclose()
            if machine.claude is not None:
                await machine.claude.aclose()
    finally:
        await store.close()
    return 0


async def _one_call(store: Store, machine: Machine, leg: MicrophoneLeg, *, granted: bool, alone: bool, say: Callable[[str], None]) -> None:
    call_id = new_id()
    today = datetime.datetime.now().astimezone().date().isoformat()
    # With one device only the agent speaks here; with two there is somebody on the line who has to be asked.
    started = await store.start_call(call_id, None, CallStarted(mode="microphone" if alone else "listen", today=today))
    log = _Printing(store, call_id, say)
    call = Call(call_id, started, machine.parts(call_id, started, leg, log))
    loop = asyncio.get_running_loop()
    running = asyncio.create_task(call.run(), name="listen")
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait(), name="wait for Ctrl-C")
    beginning = asyncio.create_task(log.begun.wait(), name="wait for the first event")
    try:
        await asyncio.wait({running, beginning}, return_when=asyncio.FIRST_COMPLETED)
        if not alone and granted:
            with contextlib.suppress(ConsentRefused):
                await call.consent("granted", by="agent")
        elif not alone:
            say(f'   Read this aloud: "{machine.sentence("")}" and start again with --granted when they said yes.')
        say("   Listening. Ctrl-C hangs up.")
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await call.end("hung_up")
        await running
    except BaseException:
        if not call.state.lines:  # nothing was heard: no call to keep
            await store.delete_calls([call_id])
        raise
    finally:
        for task in (running, stopping, beginning):
            task.cancel()
        await asyncio.wait({running, stopping, beginning})
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def first_sentence(failures: Sequence[BaseException]) -> str:
    """The words of the first failure in a group of a call's tasks."""
    first = failures[0]
    return first_sentence(first.exceptions) if isinstance(first, BaseExceptionGroup) else str(first)
