"""Rows of a batch that nobody waits for any more, kept out of the denoiser.

The pipeline's own loop goes on with all rows: what its scheduler, its generators and its prompts hold has places for
each of them, in other forms from class to class. Nearly all of the time is spent in the denoiser, whose call is much
alike in all classes: there the rows are taken out, and put back as zeros.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch

_BY_ROW = frozenset(
    {
        "added_cond_kwargs",
        "class_labels",
        "encoder_attention_mask",
        "encoder_hidden_states",
        "guidance",
        "hidden_states",
        "pooled_projections",
        "resolution",
        "aspect_ratio",
        "image_embeds",
        "sample",
        "text_embeds",
        "time_ids",
        "timestep",
        "timestep_cond",
    }
)
"""Arguments with a first dimension that counts rows, or with one entry for all of them."""
_FOR_ALL = frozenset({"img_ids", "txt_ids"})
"""Arguments that are the same for all rows, whatever their first dimension is."""


class Attendance:
    """Of one run of a pipeline: hooks on its denoiser, from the moment when rows are missing.

    rows: of the batch. The denoiser's own batch is these once or, with classifier-free guidance, twice or more, one
    whole batch after the other. A call with arguments that are not known here is left as it is.
    """

    def __init__(self, denoiser: torch.nn.Module | None, rows: int) -> None:
        """denoiser: None where no row is ever taken out."""
        self._denoiser = denoiser
        self._rows = rows
        self._there: Sequence[int] = range(rows)
        self._hooks: list[Any] = []
        self._places: torch.Tensor | None = None
        self._all = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def keep(self, places: Sequence[int]) -> None:
        """From the next step on, only these rows are computed."""
        self._there = places
        if len(places) < self._rows and self._denoiser is not None and not self._hooks:
            self._names = tuple(inspect.signature(self._denoiser.forward).parameters)
            self._hooks = [
                self._denoiser.register_forward_pre_hook(self._take_out, with_kwargs=True),
                self._denoiser.register_forward_hook(self._put_back),
            ]

    def _take_out(self, _: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._places = None
        given = dict(zip(self._names, args, strict=False)) | kwargs
        sample = given.get("sample", given.get("hidden_states"))
        if not isinstance(sample, torch.Tensor) or sample.shape[0] % self._rows or not _known(given):
            return None
        self._all = sample.shape[0]
        places = [start + place for start in range(0, self._all, self._rows) for place in self._there]
        self._places = torch.tensor(places, device=sample.device)
        return (), {name: self._part(name, value) for name, value in given.items()}

    def _part(self, name: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._part(key, one) for key, one in value.items()}
        if name not in _BY_ROW or not isinstance(value, torch.Tensor) or value.ndim == 0:
            return value
        return value[self._places] if value.shape[0] == self._all else value

    def _put_back(self, _: torch.nn.Module, __: Any, output: Any) -> Any:
        if self._places is None:
            return None
        if isinstance(output, tuple):
            return (self._whole(output[0]), *output[1:])
        output.sample = self._whole(output.sample)
        return output

    def _whole(self, computed: torch.Tensor) -> torch.Tensor:
        whole = computed.new_zeros(self._all, *computed.shape[1:])
        whole[self._places] = computed
        return whole


def _known(given: Mapping[str, Any]) -> bool:
    """Whether it is known of each argument that may have to do with rows how it has."""
    for name, value in given.items():
        if isinstance(value, Mapping):
            if name not in _BY_ROW and value:
                return False
            if not _known(value):
                return False
        elif isinstance(value, torch.Tensor | list | tuple) and name not in _BY_ROW | _FOR_ALL:
            return False
    return True
