"""The other side of `scripts/bench embeddings`: the same graph and tokenizer, called in a process without a server.

    python -m scripts.benchmarks.embeddings_direct FOLDER [spin]

For each line `BATCH SECONDS` that it reads it embeds BATCH short texts again and again for so long, and answers with a
line of how many texts and how many seconds that were. As sentence-transformers does it: 32 texts in a run, the longest
first. spin: threads spin while they wait, as onnxruntime has it and the server has not.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from scripts.benchmarks.embeddings_texts import texts

RUN = 32


def embedder(folder: Path, *, spin: bool) -> Callable[[list[str]], NDArray[np.float32]]:
    """Texts to vectors of length 1, by the mean of the last layer; on all cores."""
    tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.enable_padding()
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])

    def embed(given: list[str]) -> NDArray[np.float32]:
        order = sorted(range(len(given)), key=lambda place: -len(given[place]))
        found = np.empty((len(given), 384), dtype=np.float32)
        for start in range(0, len(order), RUN):
            places = order[start : start + RUN]
            encoded = tokenizer.encode_batch_fast([given[place] for place in places])
            ids = np.array([one.ids for one in encoded], dtype=np.int64)
            mask = np.array([one.attention_mask for one in encoded], dtype=np.int64)
            inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            hidden = session.run(None, inputs)[0]
            means = (mask[:, None, :].astype(np.float32) @ hidden)[:, 0] / mask.sum(1, keepdims=True)
            found[places] = means / np.linalg.norm(means, axis=1, keepdims=True)
        return found

    return embed


def main() -> None:
    embed = embedder(Path(sys.argv[1]), spin="spin" in sys.argv[2:])
    embed(texts(RUN))
    print("ready", flush=True)
    for line in sys.stdin:
        batch, seconds = line.split()
        given = texts(int(batch))
        begun, count = time.perf_counter(), 0
        while time.perf_counter() - begun < float(seconds):
            embed(given)
            count += len(given)
        print(count, time.perf_counter() - begun, flush=True)


if __name__ == "__main__":
    main()
