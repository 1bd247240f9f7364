"""What a classifier's outputs mean: its labels become categories, and a long text is what the worst of its parts is."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.core import CATEGORIES, Moderation
from server.engines.embed.labels import Labels, probabilities
from server.errors import ModelUnavailable


class Moderator:
    """A classifier's labels, and the categories that they are signs of."""

    def __init__(self, labels: Labels, options: Mapping[str, Any]) -> None:
        """options: `categories` (label to the categories that it is a sign of), `threshold`, and where wanted
        `thresholds` (of single categories) and `activation`. Raises ModelUnavailable.
        """
        mapped: Mapping[str, Sequence[str]] = options["categories"]
        labels.demand(mapped)
        activation = options.get("activation") or labels.activation
        if activation is None:
            raise ModelUnavailable(
                "config.json of the model has a problem_type that makes no probabilities; if its outputs are some, "
                "`moderation.activation` of the model's config says how."
            )
        self._activation = activation
        self._places = {
            category: [labels.names.index(label) for label, signs in mapped.items() if category in signs]
            for category in CATEGORIES
            if any(category in signs for signs in mapped.values())
        }
        self._thresholds = dict.fromkeys(self._places, options["threshold"]) | dict(options.get("thresholds") or {})

    def results(self, outputs: NDArray[np.float32], counts: Sequence[int]) -> tuple[Moderation, ...]:
        """outputs: [rows, labels]. counts: rows of each text; of several, each label's highest probability counts."""
        starts = np.concatenate(([0], np.cumsum(counts)[:-1])).astype(np.int64)
        highest = np.maximum.reduceat(probabilities(outputs, self._activation), starts)
        return tuple(self._result(found.tolist()) for found in highest)

    def _result(self, found: Sequence[float]) -> Moderation:
        scores: dict[str, float] = {
            category: max(found[place] for place in places) for category, places in self._places.items()
        }
        flagged = frozenset(category for category, score in scores.items() if score >= self._thresholds[category])
        return Moderation(scores, flagged)
