"""What the agent wrote about a call reaches the recogniser."""

import asyncio
from pathlib import Path

import numpy as np

from coaching.events import CallStarted, Contact
from coaching.playbook import load
from voice.legs.pcm import channels_of
from voice.models import Window
from voice.models.engine import Engine, ThreadModels
from web.compose import likely_words

STREET = Path(__file__).parents[1] / "data" / "street.wav"  # flite: "The house is on Okeechobee Boulevard near Loxahatchee Road."


async def test_a_street_that_was_written_down_is_read(engine: Engine) -> None:
    """Beside the whole shipped playbook, the home of the call is read as it is written; without it, it is not."""
    sound = np.concatenate([block[0] for block in channels_of(STREET)])
    started = CallStarted(
        mode="browser", contact=Contact(name="Marcus Reed"), agent_name="Claire", about="5512 Okeechobee Boulevard, Loxahatchee Road"
    )
    models, expected = ThreadModels(engine), likely_words(started, load())
    assert expected[:4] == ("Marcus Reed", "Claire", "Okeechobee Boulevard", "Loxahatchee Road")
    without = likely_words(started.model_copy(update={"about": ""}), load())
    heard, guessed = await asyncio.gather(
        *(models.transcribe(Window("c", "agent", "a", sound, 0, "final", "", words)) for words in (expected, without))
    )
    said = [" ".join(word.text for word in each.words) for each in (heard, guessed)]
    assert "Okeechobee Boulevard" in said[0]
    assert "Loxahatchee Road" in said[0]
    assert "Okeechobee" not in said[1]
