"""English text to Kokoro's phoneme symbols, word by word.

espeak-ng gives the phonemes of a whole clause, so that function words are reduced as in speech, but it writes
some neighbours as one ("of the" is ʌvðə). The groups are laid back on the words here, because every
word's end must be known in the sound.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from piper.phonemize_espeak import EspeakPhonemizer

# Index of each symbol in the embedding table of Kokoro-82M v1.0 (its published config).
SYMBOLS: dict[str, int] = {
    **{";": 1, ":": 2, ",": 3, ".": 4, "!": 5, "?": 6, " ": 16},
    **{"ʤ": 82, "ʧ": 133, "A": 24, "I": 25, "O": 31, "W": 39, "Y": 41, "T": 36, "ᵊ": 42},
    **{"b": 44, "d": 46, "f": 48, "h": 50, "i": 51, "j": 52, "k": 53, "l": 54, "m": 55, "n": 56, "o": 57},
    **{"p": 58, "s": 61, "t": 62, "u": 63, "v": 64, "w": 65, "z": 68, "ɑ": 69, "æ": 72, "ɔ": 76, "ð": 81},
    **{"ə": 83, "ɛ": 86, "ɜ": 87, "ɡ": 92, "ɪ": 102, "ŋ": 112, "θ": 119, "ɹ": 123, "ɾ": 125, "ʃ": 131},
    **{"ʊ": 135, "ʌ": 138, "ʒ": 147, "ʔ": 148, "ˈ": 156, "ˌ": 157, "ː": 158, "ᵻ": 177},
}

# espeak's American English to the symbols that Kokoro was trained on; the order matters.
_KOKORO_SPELLING = [
    *[("aɪ", "I"), ("aʊ", "W"), ("eɪ", "A"), ("oʊ", "O"), ("ɔɪ", "Y"), ("dʒ", "ʤ"), ("tʃ", "ʧ")],
    *[("ʲ", ""), ("ɚ", "əɹ"), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("r", "ɹ"), ("x", "k"), ("ɐ", "ə")],
    *[
        ("ɬ", "l"),
        ("ː", ""),
        ("ɾ", "T"),
        ("ʔ", "t"),
        ("̩", ""),
        ("̃", ""),
        ("g", "ɡ"),
        ("e", "A"),
        ("a", "ɑ"),
        ("əɹɹ", "əɹ"),
    ],
]

# Sounds that espeak spells out or reads as words.
_SPOKEN = {"mm-hm": "əmhˈəm", "hmm": "hˈəmm", "uh": "ˈʌ", "um": "ˈʌm", "huh": "hˈʌ"}

_MARKS = ",.!?;:"


@dataclass(frozen=True, slots=True)
class Word:
    """One word as written (without marks), its symbols, and the mark that follows it ("" for none)."""

    text: str
    symbols: str
    mark: str


def words_of(phrase: str) -> list[Word]:
    """Split a phrase into words, each with the symbols it has in this phrase."""
    words: list[Word] = []
    for clause, mark in re.findall(rf"([^{_MARKS}]+)([{_MARKS}]?)", phrase):
        written = clause.split()
        spoken = _clause_symbols(tuple(written))
        # Without any stress Kokoro swallows the one vowel of "I" where a clause begins with it.
        if spoken[0].startswith("I"):
            spoken[0] = "ˌ" + spoken[0]
        words += [Word(text, symbols, "") for text, symbols in zip(written, spoken, strict=True)]
        if words and mark:
            words[-1] = Word(words[-1].text, words[-1].symbols, mark)
    return words


def _clause_symbols(written: tuple[str, ...]) -> list[str]:
    result: list[str] = []
    run: list[str] = []
    for text in [*written, None]:
        if text is not None and text.lower() not in _SPOKEN:
            run.append(text)
            continue
        if run:
            result += _lay_on_words(_espeak(" ".join(run)).split(), run)
            run = []
        if text is not None:
            result.append(_SPOKEN[text.lower()])
    return result


def _lay_on_words(groups: list[str], written: list[str]) -> list[str]:
    """One group for each word: groups that hold two or three words are cut where their sounds fit best."""
    alone = [_espeak(text).replace(" ", "") for text in written]
    # best[w] = (cost, cuts) after the groups so far and w words.
    best: dict[int, tuple[int, list[str]]] = {0: (0, [])}
    for group in groups:
        after: dict[int, tuple[int, list[str]]] = {}
        for start, (cost, done) in best.items():
            for count in (1, 2, 3):
                if start + count > len(written):
                    break
                for cut in _cuts(group, count):
                    worth = cost + sum(_distance(a, b) for a, b in zip(cut, alone[start : start + count], strict=True))
                    if start + count not in after or worth < after[start + count][0]:
                        after[start + count] = (worth, done + cut)
        best = after
    if len(written) not in best:
        raise ValueError(f"espeak's groups {groups} do not fit the words {written}")
    return best[len(written)][1]


def _cuts(group: str, count: int) -> list[list[str]]:
    if count == 1:
        return [[group]]
    return [[group[:at], *rest] for at in range(1, len(group)) for rest in _cuts(group[at:], count - 1) if all(rest)]


def _distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


@cache
def _phonemizer() -> EspeakPhonemizer:
    return EspeakPhonemizer()


@cache
def _espeak(text: str) -> str:
    sentences = _phonemizer().phonemize("en-us", text)
    symbols = " ".join("".join(sentence) for sentence in sentences)
    for old, new in _KOKORO_SPELLING:
        symbols = symbols.replace(old, new)
    symbols = re.sub(r"əl(?![ˈˌIAOWYiɑæɔəɛɜɪʊʌ])", "ᵊl", symbols)
    unknown = set(symbols) - set(SYMBOLS)
    if unknown:
        raise ValueError(f"no symbol for {sorted(unknown)} in {text!r}")
    return symbols
