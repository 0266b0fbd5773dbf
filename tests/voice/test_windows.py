"""The windows of a call that wait for the engine."""

import asyncio

import numpy as np
import pytest

from voice.models import Pass, Window
from voice.windows import WindowQueue, WindowsClosed


def window(utterance: str, purpose: Pass, speaker: str = "agent", start_ms: int = 0) -> Window:
    return Window("call", speaker, utterance, np.zeros(16, np.int16), start_ms, purpose)


async def test_a_newer_partial_replaces_the_waiting_one() -> None:
    """Only the newest partial of a speaker is decoded, and the other is counted."""
    queue = WindowQueue()
    await queue.put(window("a1", "partial", start_ms=1))
    await queue.put(window("a1", "partial", start_ms=2))
    assert (await queue.partial()).start_ms == 2
    assert queue.replaced == 1


async def test_each_speaker_has_a_partial_of_its_own() -> None:
    """The prospect's partial does not push out the agent's."""
    queue = WindowQueue()
    await queue.put(window("a1", "partial"))
    await queue.put(window("p1", "partial", "prospect"))
    assert {(await queue.partial()).speaker, (await queue.partial()).speaker} == {"agent", "prospect"}


async def test_finals_are_kept_in_order() -> None:
    """No final replaces another."""
    queue = WindowQueue()
    for name in ("a1", "a2", "a3"):
        await queue.put(window(name, "final"))
    assert [(await queue.final()).utterance for _ in range(3)] == ["a1", "a2", "a3"]


async def test_a_final_takes_the_place_of_its_own_partial() -> None:
    """A partial of an utterance that has its final waiting is not decoded any more."""
    queue = WindowQueue()
    await queue.put(window("a1", "partial"))
    await queue.put(window("a1", "final"))
    await queue.close()
    with pytest.raises(WindowsClosed):
        await queue.partial()


async def test_closing_gives_out_the_finals_that_wait() -> None:
    """The last words of a call are decoded after its end."""
    queue = WindowQueue()
    await queue.put(window("a1", "final"))
    await queue.close()
    assert (await queue.final()).utterance == "a1"
    with pytest.raises(WindowsClosed):
        await queue.final()


async def test_closing_wakes_whoever_waits() -> None:
    """Nobody waits for ever on a closed queue."""
    queue = WindowQueue()
    waiting = asyncio.create_task(queue.partial())
    await asyncio.sleep(0)
    await queue.close()
    with pytest.raises(WindowsClosed):
        await waiting


async def test_erasing_one_speaker_keeps_the_other() -> None:
    """One side's revoked consent does not touch the other side's words."""
    queue = WindowQueue()
    await queue.put(window("a1", "final"))
    await queue.put(window("p1", "final", "prospect"))
    await queue.erase("prospect")
    await queue.close()
    assert (await queue.final()).speaker == "agent"
    with pytest.raises(WindowsClosed):
        await queue.final()
