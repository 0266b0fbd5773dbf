"""Which weights a name means, windows in one batch, and what this machine can run."""

from concurrent.futures import wait
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

from voice.legs.pcm import channels_of
from voice.models import Pass, Window
from voice.models.calibration import Calibration
from voice.models.engine import Engine, EngineSettings, alike, model_folder
from voice.models.process import open_models
from voice.models.weights import WHISPER, WeightsRefused, folder_of
from voice.models.whisper import Costs, Whisper

SAMPLE = Path(__file__).parents[2] / "web" / "sample" / "call.flac"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def whisper(cache: Path) -> Whisper:
    return Whisper(folder_of(WHISPER["tiny.en"], folder=None, cache=cache), "tiny.en", workers=1)


@pytest.fixture(scope="module")
def agent() -> NDArray[np.int16]:
    return np.concatenate([block[0] for block in channels_of(SAMPLE)])[: 30 * 16_000]


def window(sound: NDArray[np.int16], from_s: float, to_s: float, purpose: Pass = "partial", prompt: str = "") -> Window:
    return Window("call", "agent", "a", sound[int(from_s * 16_000) : int(to_s * 16_000)], 0, purpose, prompt)


def test_a_folder_of_ones_own_is_a_model(cache: Path) -> None:
    """Any folder with a CTranslate2 Whisper can be named."""
    folder = folder_of(WHISPER["tiny.en"], folder=None, cache=cache)
    assert model_folder(str(folder), None, cache) == folder


def test_a_folder_without_a_model_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    """The message names the file."""
    with pytest.raises(WeightsRefused, match=r"model\.bin"):
        model_folder(str(tmp_path), None, tmp_path)


def test_a_name_that_is_nowhere_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """No network is asked; the message says how to get the model."""
    with pytest.raises(WeightsRefused, match=r"SOTTOVOCE_MODEL to that folder"):
        model_folder("large-v3", None, tmp_path)


def test_a_changed_byte_is_refused(cache: Path, tmp_path: Path) -> None:
    """A weight file that is not the known one does not load."""
    folder = tmp_path / "tiny.en"
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"something else")
    with pytest.raises(WeightsRefused, match="SHA-256"):
        model_folder("tiny.en", tmp_path, cache)


def test_a_batch_reads_what_each_window_alone_reads(whisper: Whisper, agent: NDArray[np.int16]) -> None:
    """Windows of like length give the same words together as one by one, each at its own time."""
    windows = [window(agent, 1.0, 4.0), window(agent, 1.0, 3.4)]
    alone = [[w.text for w in whisper.decode(each).words] for each in windows]
    together = [[w.text for w in each.words] for each in whisper.decode_many(windows)]
    assert together == alone
    assert all(alone)


def test_a_sentence_that_was_said_twice_is_read_twice(whisper: Whisper, agent: NDArray[np.int16]) -> None:
    """It is taken for a loop at first; the second decode says it twice as well, and is believed."""
    once = window(agent, 3.2, 5.9, "final")
    twice = Window("call", "agent", "a", np.concatenate((once.samples, once.samples)), 0, "final")
    said = " ".join(word.text for word in whisper.decode(once).words).lower().rstrip(".?")
    assert len(said.split()) >= 8
    heard = " ".join(word.text for word in whisper.decode(twice).words).lower()
    assert whisper._loops([], heard, len(twice.samples))
    assert heard.count("take notes") == said.count("take notes") * 2 == 2
    assert not whisper._loops([], "we like it we like it we like the kitchen", len(twice.samples))


def test_only_like_windows_share_a_batch(agent: NDArray[np.int16]) -> None:
    """Another purpose, another length or a prompt on one side only keeps windows apart."""
    one = window(agent, 0, 3)
    assert alike(one, window(agent, 5, 9))
    assert not alike(one, window(agent, 0, 3, "final"))
    assert not alike(one, window(agent, 0, 9))
    assert not alike(one, window(agent, 0, 3, prompt="and then"))


def test_an_engine_that_batches_answers_each_window(cache: Path, agent: NDArray[np.int16]) -> None:
    """Windows that wait together come back each with its own words."""
    engine = Engine(EngineSettings(cache=str(cache), device="cpu", workers=2))
    engine.batch = 8
    windows = [window(agent, 1.0, 3.0 + 0.2 * i) for i in range(6)]
    futures = [engine.submit(each) for each in windows]
    done, _ = wait(futures, timeout=60)
    engine.close()
    assert len(done) == 6
    assert [len(f.result().words) for f in futures] == sorted(len(f.result().words) for f in futures)
    assert engine.counters.decoded == 6


async def test_an_engine_of_its_own_answers_with_each_sentence_model(cache: Path) -> None:
    """Unit vectors of each model come back through the socket, one a sentence, or one for a turn in its context."""
    models = await open_models(EngineSettings(cache=str(cache), device="cpu"))
    try:
        said = ["That is too much money.", "It costs more than we have.", "Saturday at ten works."]
        first, of_prospects, of_agents = await models.embed(said), await models.second("prospect", said), await models.second("agent", said)
        assert (first.shape, of_prospects.shape, of_agents.shape) == ((3, 384), (3, 768), (3, 384))
        assert np.allclose(np.linalg.norm(np.concatenate((of_prospects, of_agents), axis=1), axis=1), 2**0.5, atol=1e-3)
        for vectors in (first, of_prospects):
            assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
        asked, alone = await models.in_context([("Do you have an agent?", "I have one."), ("", "I have one.")])
        assert asked.shape == alone.shape == (384,)
        assert not np.allclose(asked, alone, atol=0.05)
        counted = await models.counters()
        assert (counted.sentences, counted.doubted, counted.turns) == (3, 6, 2)
    finally:
        await models.aclose()


def test_what_a_model_is_good_for_follows_from_its_costs() -> None:
    """The verdict goes by the time that a last word and an utterance take."""
    assert Calibration.of("m", "cpu", Costs(10, 4, 20)).use == "live"
    assert Calibration.of("m", "cpu", Costs(35, 12, 60)).use == "finals"
    assert Calibration.of("m", "cpu", Costs(100, 20, 100)).use == "second"
    assert Calibration.of("m", "cpu", Costs(1000, 200, 500)).use == "none"


def test_costs_are_measured_by_decoding(whisper: Whisper) -> None:
    """Each part takes time, and a token less than a second of sound."""
    costs = whisper.costs()
    assert 0 < costs.token_ms < 200
    assert 0 < costs.encode_ms < 1000
    assert costs.align_ms > 0


def test_matrix_products_take_one_thread(whisper: Whisper) -> None:
    """Their helper threads would spin between the products of a stream."""
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert pools, whisper.name
    assert {pool["num_threads"] for pool in pools} == {1}
