"""The models that `scripts/bench media` measures, and the settings with which their libraries are called directly."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from scripts.benchmarks.media_sounds import TOGETHER
from scripts.benchmarks.sides import REPOSITORY
from server.core import Quality
from server.models.config.catalog import Catalog
from server.models.config.spec import DiffusersModel, ModelSpec, PiperModel, WhisperModel

Spec = TypeVar("Spec", DiffusersModel, WhisperModel, PiperModel)


@dataclass(frozen=True, slots=True)
class Models:
    """folder: of all models' weights. gpu: whether there is one, which pictures and transcription then use."""

    folder: Path
    gpu: bool
    image: DiffusersModel
    ear: WhisperModel
    voice: PiperModel

    @property
    def by_kind(self) -> Mapping[str, ModelSpec]:
        """By the kind of work that each does."""
        return {"pictures": self.image, "transcription": self.ear, "speech": self.voice}

    @property
    def all(self) -> tuple[ModelSpec, ...]:
        return (self.image, self.ear, self.voice)

    @property
    def voice_file(self) -> Path:
        """The voice that answers where none is asked for: the first one."""
        assert self.voice.path is not None
        return self.folder / self.voice.path / next(iter(self.voice.voices.values())).file

    def settings(self) -> Mapping[str, Mapping[str, Any]]:
        """Of each library's process, by kind: what the engine here gives to the same library."""
        image, ear = self.image, self.ear
        cuda = self.gpu and image.device != "cpu"
        return {
            "pictures": {
                "path": str(self.folder / str(image.path)),
                "steps": image.steps,
                "guidance": image.guidance,
                "width": image.size[0],
                "height": image.size[1],
                "scheduler": image.quality.medium.scheduler,
                "dtype": image.dtype if image.dtype != "auto" else "bfloat16" if cuda else "float32",
                "device": "cuda" if cuda else "cpu",
            },
            "transcription": {
                "path": str(self.folder / str(ear.path)),
                "device": "cuda" if self.gpu and ear.device != "cpu" else "cpu",
                "compute_type": self._compute_type(),
                "threads": ear.threads or len(os.sched_getaffinity(0)),
                "batch": TOGETHER,
            },
            "speech": {"path": str(self.voice_file)},
        }

    def _compute_type(self) -> str:
        if self.ear.compute_type != "default":
            return self.ear.compute_type
        return "float16" if self.gpu and self.ear.device != "cpu" else "int8"

    def hearing(self, quality: str) -> Mapping[str, Any]:
        """Options of faster-whisper's `transcribe` that do what a quality of the config does."""
        plan = getattr(self.ear.quality, Quality(quality).value)
        options: dict[str, Any] = {"language": "en", "beam_size": plan.beam_size or self.ear.beam_size}
        if plan.vad if plan.vad is not None else self.ear.vad:
            options["vad_filter"] = True
        if plan.fallback is False:
            options["temperature"] = 0.0
        return options


def installed(folder: Path, names: Mapping[str, str | None], *, gpu: bool) -> Models:
    """The models of these names, by kind of work, or the first that is installed. Raises LookupError."""
    specs = Catalog.load(REPOSITORY / "model_configs", folder, None).models

    def one(kind: type[Spec], work: str) -> Spec:
        name = names.get(work)
        for spec in specs:
            if isinstance(spec, kind) and name in (None, spec.name):
                return spec
        raise LookupError(f"no model for {work} is installed" + (f" as {name}" if name else ""))

    return Models(
        folder,
        gpu,
        one(DiffusersModel, "pictures"),
        one(WhisperModel, "transcription"),
        one(PiperModel, "speech"),
    )
