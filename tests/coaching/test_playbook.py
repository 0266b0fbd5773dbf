"""The playbook: read, checked with line numbers, reloaded while it is edited; calls played against the one we ship."""

import os
import re
from pathlib import Path

import pytest

from coaching.playbook import DEFAULT_PLAYBOOK, MOST_WORDS, Playbook, PlaybookFile, PlaybookRefused, load
from coaching.suggestions import KINDS
from intelligence.conversation.qualification import SLOTS
from intelligence.conversation.turns import Family
from tests.scripted_call import Cued, Stage, agent, prospect, read_out, shown, silence
from web.compose import breaks_rule

GOOD = """version = 1

[objections.price]
title = "Price worries"
why = "They weigh it."
say = [
  { text = "What number feels fair to you?" },
]

[moments.buying_signal]
title = "Now"
why = "They lean forward."
say = [{ text = "Shall we set a time?" }]
"""
OBJECTIONS = (
    "price", "commission", "timing", "market", "financing", "decision_maker", "has_agent", "self_serve", "commitment", "property",
    "location", "trust", "stall",
)  # fmt: skip
SHIPPED = load()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    return path


def edit(file: Path, text: str) -> None:
    """As an editor saves: the file is newer afterwards."""
    stamp = file.stat().st_mtime_ns + 1_000_000
    file.write_text(text)
    os.utime(file, ns=(stamp, stamp))


@pytest.mark.parametrize(
    ("was", "becomes", "line", "says"),
    [
        ('why = "They weigh it."\n', "", 3, "Field required"),
        ('title = "Price worries"', "titel = 1", 3, "Field required"),
        ('{ text = "What number feels fair to you?" },', "", 6, "at least 1 item"),
        ('title = "Now"', "title = 5", 11, "valid string"),
        ("version = 1", "version = 'x'", 1, "valid integer"),
        ("Shall we set a time?", "word " * (MOST_WORDS + 1), 13, "more than 20 words"),
    ],
)
def test_a_refusal_names_the_line(file: Path, was: str, becomes: str, line: int, says: str) -> None:
    """Whoever edits the file is told where to look."""
    file.write_text(GOOD.replace(was, becomes))
    with pytest.raises(PlaybookRefused, match=rf"mine\.toml, line {line}: .*{says}"):
        load(file)


def test_a_file_that_is_no_toml_is_refused_with_its_line(file: Path) -> None:
    """A missing quote is a sentence with a line, no traceback."""
    file.write_text(GOOD.replace('title = "Now"', 'title = "Now'))
    with pytest.raises(PlaybookRefused, match=r"mine\.toml: .*line 11"):
        load(file)


def test_our_own_words_obey_our_rules(file: Path) -> None:
    """A saying that breaks a rule is refused with its line and the rule."""
    with pytest.raises(PlaybookRefused, match=r"line 13: 'Shall we set a time\?' breaks rule/7"):
        load(file, breaks_rule=lambda words: "rule/7" if "time" in words else None)


def test_an_edit_is_taken_over_while_running(file: Path) -> None:
    """The next card has the new words."""
    watched = PlaybookFile(file)
    edit(file, GOOD.replace("feels fair", "would be right"))
    assert watched.current().objections["price"].say[0].text == "What number would be right to you?"


def test_a_wrong_edit_leaves_the_last_good_one(file: Path) -> None:
    """A half-saved file changes nothing, says why, and is forgotten when it is good again."""
    watched = PlaybookFile(file)
    edit(file, GOOD.replace("version = 1", "version = ["))
    assert watched.current().version == 1
    assert "mine.toml" in watched.refusal
    edit(file, GOOD.replace("version = 1", "version = 2"))
    assert watched.current().version == 2
    assert watched.refusal == ""


def test_an_editor_that_replaces_the_file_is_no_fault(file: Path) -> None:
    """While the file is away for a moment the last good one stays."""
    watched = PlaybookFile(file)
    file.unlink()
    assert watched.current().version == 1


# ---- the playbook that comes with the program


def test_it_answers_every_objection_and_moment() -> None:
    """Each of the thirteen objections has several sayings, and every moment that needs words has them."""
    assert set(SHIPPED.objections) == set(OBJECTIONS)
    assert all(len(answer.say) >= 3 for answer in SHIPPED.objections.values())
    without_words = {"objection", "slip", "trap_question", "wrong_fact", "missing_question"}
    assert set(KINDS) - without_words == set(SHIPPED.moments)


def test_it_has_a_question_and_a_bridge_for_each_slot() -> None:
    """Nothing of the sheet is without its question, and question with bridge fit on a card."""
    assert set(SHIPPED.questions) == set(SHIPPED.bridges) == set(SLOTS)
    assert all(len(f"{SHIPPED.bridges[s]} {SHIPPED.questions[s]}".split()) <= MOST_WORDS for s in SLOTS)


def test_there_is_always_a_saying_for_either_side() -> None:
    """Whoever sits there, an objection has words that need nothing known and are for no other side."""
    for answer in SHIPPED.objections.values():
        assert any(s.when == "" and "{" not in s.text for s in answer.say), answer.title


def test_no_saying_presses_or_promises() -> None:
    """No hurry, no scarcity, no promise, no figure from nowhere."""
    pressure = re.compile(
        r"\b(?:hurry|act now|last chance|won't last|before it's gone|you'd better|guarantee|promise you|best price|trust me|only today|must decide)\b|\d",
        re.I,
    )
    assert [s for s in SHIPPED.sayings() if pressure.search(s)] == []


def test_it_breaks_none_of_our_rules() -> None:
    """Every sentence passes the compliance rules that a card must pass."""
    load(DEFAULT_PLAYBOOK, breaks_rule=breaks_rule)


@pytest.mark.parametrize("label", OBJECTIONS)
@pytest.mark.parametrize("side", ["buyer", "seller"])
async def test_a_call_against_it(label: str, side: str) -> None:
    """Played for buyer and seller, each objection brings a sentence that is whole, short and for that side."""
    cues: dict[str, tuple[Family, str]] = {"that is the thing": ("objection", label)}
    reader = await read_out(
        [agent("How does it look?"), prospect("Well, that is the thing for us."), silence(500)], Stage([Cued(cues)], side=side)
    )
    (card,) = shown(reader.log.events)
    other = {s.text for s in SHIPPED.objections[label].say if s.when not in ("", side)}
    assert card.kind == "objection_response"
    assert card.say not in other
    assert "{" not in card.say
    assert len(card.say.split()) <= MOST_WORDS


def test_an_empty_playbook_is_allowed(tmp_path: Path) -> None:
    """A brokerage may want a silent coach: compliance needs no sayings."""
    path = tmp_path / "silent.toml"
    path.write_text("version = 1\n[objections]\n")
    assert isinstance(load(path), Playbook)
