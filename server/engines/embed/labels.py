"""What a classifier's folder says of its outputs: which label each is for, and how they become probabilities."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from server.engines.embed.recipe import read_object
from server.errors import ModelUnavailable

Activation = Literal["sigmoid", "softmax"]


@dataclass(frozen=True, slots=True)
class Labels:
    """names: in the outputs' order. activation: sigmoid where a text may have several labels, softmax where it has one;
    None where the folder's files say neither of a probability."""

    names: tuple[str, ...]
    activation: Activation | None

    def demand(self, wanted: Iterable[str]) -> None:
        """Raises ModelUnavailable for a label that the model has not."""
        if unknown := [name for name in wanted if name not in self.names]:
            message = f"The model has no label {' or '.join(unknown)}. Its labels are {', '.join(self.names)}."
            raise ModelUnavailable(message)


def read_labels(folder: Path) -> Labels:
    """By config.json, with the defaults of transformers' own. Raises ModelUnavailable for what makes no sense."""
    config = read_object(folder / "config.json")
    named = config.get("id2label")
    try:
        if isinstance(named, dict):
            names = tuple(str(named[str(place)]) for place in range(len(named)))
        else:
            names = tuple(f"LABEL_{place}" for place in range(int(config.get("num_labels") or 2)))
    except (LookupError, TypeError, ValueError):
        raise ModelUnavailable("The labels in config.json of the model can't be read.") from None
    match config.get("problem_type"):
        case "multi_label_classification":
            return Labels(names, "sigmoid")
        case None | "single_label_classification":
            # Of one output a softmax is 1, whatever the text.
            return Labels(names, "softmax" if len(names) > 1 else "sigmoid")
        case _:
            return Labels(names, None)


def probabilities(outputs: NDArray[np.float32], activation: Activation) -> NDArray[np.float64]:
    """outputs: [rows, labels], as the network gives them."""
    exact = outputs.astype(np.float64)
    if activation == "sigmoid":
        # By tanh, which does not overflow: 1 / (1 + exp(-x)).
        single: NDArray[np.float64] = 0.5 * (1 + np.tanh(exact / 2))
        return single
    powers = np.exp(exact - exact.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares
