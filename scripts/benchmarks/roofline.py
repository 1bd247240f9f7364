"""What a machine can do at most: bytes from its memory and floating-point operations a second, measured.

    python -m scripts.benchmarks.roofline cpu|cuda float32|bfloat16|float16

prints both as JSON. And what a chat model's step must read and compute, from its files: the least time that a step can
take (the roofline of Williams, Waterman and Patterson 2009).
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path

from scripts.benchmarks.sides import REPOSITORY, side_environment

TRIES = 7
WORDS = 64 << 20
"""float32 numbers of each array: far more than a cache holds."""
CUBE = 2048
"""Rows and columns of the matrices that are multiplied."""
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True)
class Machine:
    """bandwidth: bytes a second, the better of reading and of STREAM's triad; flops: operations a second in the dtype
    of the model, a multiplication and an addition counted as two."""

    device: str
    dtype: str
    read: float
    triad: float
    flops: float

    @property
    def bandwidth(self) -> float:
        return max(self.read, self.triad)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a decoder's files say.

    parameters: numbers that a step reads: all but an embedding that is not also the head, of which it reads a row a
    token; head: those of them that make logits of the last layer, which only the end of a prompt needs; layers, hidden:
    of the network; kv_numbers: of keys and values that one token leaves in the cache; width: bytes of a number.
    """

    parameters: int
    head: int
    layers: int
    hidden: int
    kv_numbers: int
    width: int

    def step_bytes(self, streams: float, context: int) -> float:
        """Bytes that a decoding step must read: every weight once, and the cached keys and values of each stream."""
        return self.width * (self.parameters + streams * context * self.kv_numbers)

    def step_flops(self, streams: float, context: int) -> float:
        """Operations of a decoding step: two for each weight and stream, and attention over the context."""
        return streams * (2 * self.parameters + 4 * self.layers * self.hidden * context)

    def prompt_flops(self, tokens: int) -> int:
        """Operations to read a prompt: two for each weight and token, and attention, each token to those before it."""
        return 2 * (self.parameters - self.head) * tokens + 2 * self.head + 2 * self.layers * self.hidden * tokens**2


def least_step(machine: Machine, shape: Shape, streams: float, context: int) -> tuple[float, str]:
    """The least seconds of a decoding step, and what sets them: "memory" or "arithmetic"."""
    memory = shape.step_bytes(streams, context) / machine.bandwidth
    arithmetic = shape.step_flops(streams, context) / machine.flops
    return max((memory, "memory"), (arithmetic, "arithmetic"))


def least_prompts(machine: Machine, shape: Shape, prompts: int, tokens: int) -> float:
    """The least seconds to read so many prompts of so many tokens each."""
    return prompts * shape.prompt_flops(tokens) / machine.flops


def dtype_of(folder: Path, wanted: str) -> str:
    """The type of a model's numbers: the one that is wanted, or for `auto` the one that its config.json names."""
    if wanted != "auto":
        return wanted
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return str(config.get("dtype") or config["torch_dtype"])


def shape_of(folder: Path, dtype: str) -> Shape:
    """Of a model's folder: config.json and the headers of its safetensors files. Raises LookupError."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise LookupError(f"{folder.name} has no safetensors, whose numbers could be counted")
    heads = config["num_attention_heads"]
    head = config.get("head_dim") or config["hidden_size"] // heads
    table = config["vocab_size"] * config["hidden_size"]
    parameters = sum(map(_numbers, files))
    return Shape(
        parameters=parameters if config.get("tie_word_embeddings") else parameters - table,
        head=table,
        layers=config["num_hidden_layers"],
        hidden=heads * head,
        kv_numbers=2 * config["num_hidden_layers"] * config.get("num_key_value_heads", heads) * head,
        width=BYTES[dtype],
    )


def _numbers(file: Path) -> int:
    """Numbers in a safetensors file: 8 bytes of the header's length, then the header, a JSON object of tensors."""
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    return sum(prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


def measured(device: str, dtype: str) -> Machine:
    """This machine, measured in a process of its own."""
    command = [sys.executable, "-m", "scripts.benchmarks.roofline", device, dtype]
    environment = {**side_environment(None), "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return Machine(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    import torch

    device, dtype = sys.argv[1], sys.argv[2]

    def rate(amount: float, work: Callable[[], object]) -> float:
        """`amount` a second, the best of several tries."""
        best = 0.0
        for _ in range(TRIES):
            begun = time.perf_counter()
            work()
            if device == "cuda":
                torch.cuda.synchronize()
            best = max(best, amount / (time.perf_counter() - begun))
        return best

    first, second, third = (torch.ones(WORDS, device=device) for _ in range(3))
    read = rate(4 * WORDS, lambda: torch.sum(first))
    triad = rate(3 * 4 * WORDS, lambda: torch.add(second, third, alpha=3.0, out=first))
    kind = getattr(torch, dtype)
    left, right = (torch.randn(CUBE, CUBE, device=device).to(kind) for _ in range(2))
    flops = rate(2 * CUBE**3, lambda: left @ right)
    print(json.dumps({"device": device, "dtype": dtype, "read": read, "triad": triad, "flops": flops}))


if __name__ == "__main__":
    main()
