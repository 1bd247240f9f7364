"""An encoder's graph, run by onnxruntime: rows of token ids in, a vector for each out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from server.engines.embed.recipe import Recipe
from server.engines.embed.rows import Row
from server.errors import EngineFailed, ModelUnavailable

Floats = NDArray[np.float32]

KNOWN_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids", "position_ids"})


class Network:
    """A loaded graph. threads: of the processor, 0 for all cores."""

    def __init__(self, file: Path, recipe: Recipe, threads: int) -> None:
        """Raises ModelUnavailable for a graph that wants what is not known here; onnxruntime's errors for others."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that spin while they wait would take the cores from the other engines.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(file), sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._recipe = recipe
        self._inputs = {one.name for one in self._session.get_inputs()}
        if unknown := self._inputs - KNOWN_INPUTS:
            raise ModelUnavailable(f"The model's graph wants {', '.join(sorted(unknown))}, which this engine has not.")
        outputs = [one.name for one in self._session.get_outputs()]
        wanted = ("sentence_embedding", "logits", "last_hidden_state", "token_embeddings")
        self._output = next((name for name in wanted if name in outputs), outputs[0])

    def __call__(self, rows: Sequence[Row]) -> Floats:
        """Shape [rows, size]: pooled, not normalized yet; of a classifier its outputs. Raises EngineFailed."""
        longest = max(map(len, rows))
        ids = np.full((len(rows), longest), self._recipe.pad, dtype=np.int64)
        mask = np.zeros_like(ids)
        kinds = np.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row.ids
            mask[place, : len(row)] = 1
            if row.kinds is not None:
                kinds[place, : len(row)] = row.kinds
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds}
        if "position_ids" in self._inputs:
            given["position_ids"] = np.broadcast_to(np.arange(longest, dtype=np.int64), ids.shape)
        (found,) = self._session.run([self._output], {name: given[name] for name in self._inputs})
        vectors: Floats = np.asarray(found, dtype=np.float32)
        if vectors.ndim == 3:
            vectors = self._pooled(vectors, mask)
        if not np.isfinite(vectors).all():
            raise EngineFailed("The model's answer is no number.")
        return vectors

    def _pooled(self, hidden: Floats, mask: NDArray[np.int64]) -> Floats:
        """hidden: [rows, tokens, size]."""
        match self._recipe.pooling:
            case "cls":
                return hidden[:, 0]
            case "lasttoken":
                last: Floats = hidden[np.arange(len(hidden)), mask.sum(1) - 1]
                return last
            case "max":
                pooled: Floats = np.where(mask[:, :, None] == 1, hidden, np.float32(-np.inf)).max(1)
                return pooled
            case "mean":
                shares = mask.astype(np.float32)
                shares /= shares.sum(1, keepdims=True)
                return (shares[:, None, :] @ hidden)[:, 0]


def normalized(vectors: Floats) -> Floats:
    """Each of length 1. A vector of zeros stays: there is no direction that it has."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    found: Floats = vectors / np.maximum(lengths, np.float32(1e-12))
    return found
