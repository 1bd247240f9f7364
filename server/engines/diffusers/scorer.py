"""How well a picture fits its prompt, by a CLIP model: what ranks an image model's candidates."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import CLIPModel, CLIPProcessor

from server.errors import ModelUnavailable

log = logging.getLogger(__name__)


class ClipScorer:
    """Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision" (arXiv 2103.00020);
    its use as a score without a reference is Hessel et al. 2021, "CLIPScore" (arXiv 2104.08718)."""

    def __init__(self, model: Any, processor: Any) -> None:
        self._model = model
        self._processor = processor

    @classmethod
    def load(cls, folder: Path, device: torch.device, dtype: torch.dtype) -> "ClipScorer":
        """From a folder as `save_pretrained` writes it. Raises ModelUnavailable."""
        try:
            model = CLIPModel.from_pretrained(folder, dtype=dtype, local_files_only=True, use_safetensors=True)
            processor = CLIPProcessor.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            log.error("the scorer in %s could not be loaded: %s", folder, error)
            raise ModelUnavailable(
                "The image model's scorer is no complete CLIP folder, or its weights are not safetensors."
            ) from error
        return cls(model.to(device).eval(), processor)

    def scores(self, prompt: str, pictures: Sequence[Image.Image]) -> list[float]:
        """Cosine of the angle between the prompt and each picture, -1 to 1. Long prompts are cut off."""
        inputs = self._processor(
            text=[prompt], images=list(pictures), return_tensors="pt", padding=True, truncation=True
        ).to(self._model.device, self._model.dtype)
        with torch.inference_mode():
            output = self._model(**inputs)
        return [float(cosine) for cosine in (output.image_embeds @ output.text_embeds.T)[:, 0]]
