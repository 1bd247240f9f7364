"""The files of a model's weights: where they lie, which are missing, and how many bytes they hold."""

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from server.models.config.spec import (
    DiffusersModel,
    EmbedModel,
    FakeModel,
    ModelSpec,
    PiperModel,
    VllmModel,
    WhisperModel,
)

WEIGHTS = (".safetensors", ".bin", ".gguf", ".onnx", ".pt", ".pth")
GRAPHS = ("model.onnx", "onnx/model.onnx")
"""Where an encoder's graph lies, if its config does not say."""
SHARD_INDEX = "model.safetensors.index.json"
MAX_HEADER = 100 * 2**20
"""Longest JSON header of a safetensors file, by the format's own limit."""

FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}


def location(spec: ModelSpec, models_dir: Path) -> Path:
    """The folder or file that `spec.path` names; an absolute path stays as it is."""
    return (models_dir / spec.path).resolve()


def missing(spec: ModelSpec, models_dir: Path) -> tuple[Path, ...]:
    """The files without which the model cannot load; empty when it is installed."""
    if isinstance(spec, FakeModel):
        return ()
    path = location(spec, models_dir)
    if not path.exists():
        return (path,)
    return tuple(file for file in _needed(spec, path) if not file.exists())


def files(spec: ModelSpec, models_dir: Path) -> tuple[Path, ...]:
    """Every installed file of the model, hidden ones left out, in the order of their paths."""
    if isinstance(spec, FakeModel):
        return ()
    path = location(spec, models_dir)
    if path.is_file():
        return (path,)
    return tuple(
        sorted(
            file
            for file in path.rglob("*")
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
        )
    )


def size(spec: ModelSpec, models_dir: Path) -> int:
    """Bytes on disk of the model's files."""
    return sum(file.stat().st_size for file in files(spec, models_dir))


def _needed(spec: ModelSpec, path: Path) -> Iterator[Path]:
    match spec:
        case VllmModel():
            if path.is_file():
                return
            yield path / "config.json"
            index = path / SHARD_INDEX
            if index.is_file():
                yield from (path / shard for shard in _shards(index))
            elif not any(file.suffix in WEIGHTS for file in path.iterdir()):
                yield path / "model.safetensors"
        case WhisperModel():
            yield path / "model.bin"
            yield path / "config.json"
        case PiperModel():
            for voice in spec.voices.values():
                yield path / voice.file
                yield path / f"{voice.file}.json"
        case DiffusersModel():
            yield path / "model_index.json"
        case EmbedModel():
            yield path / "tokenizer.json"
            yield path / "config.json"
            if spec.file is not None:
                yield path / spec.file
            elif not any((path / name).is_file() for name in GRAPHS):
                yield path / GRAPHS[0]


def _shards(index: Path) -> list[str]:
    """The files that an index names; none where it can't be read, which loading the model will tell."""
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        return []


@dataclass(frozen=True, slots=True)
class Stored:
    """What weight files hold: bytes of floating-point values, how many those are, and bytes of everything else."""

    float_bytes: int = 0
    floats: int = 0
    other_bytes: int = 0

    def as_loaded(self, bytes_per_float: int | None) -> int:
        """Bytes once loaded with floats of that width; None keeps them as stored. Quantized values stay."""
        if bytes_per_float is None:
            return self.float_bytes + self.other_bytes
        return self.floats * bytes_per_float + self.other_bytes

    def __add__(self, other: "Stored") -> "Stored":
        return Stored(
            self.float_bytes + other.float_bytes, self.floats + other.floats, self.other_bytes + other.other_bytes
        )


def stored(spec: ModelSpec, models_dir: Path) -> Stored:
    """Count the values in the model's weight files; only the headers of safetensors say which are floats."""
    return sum(parts(spec, models_dir).values(), Stored())


def parts(spec: ModelSpec, models_dir: Path) -> dict[str, Stored]:
    """As `stored`, for each folder of the model by its path in it: a pipeline's text encoder, its denoiser …"""
    by_folder: dict[str, Stored] = {}
    root = location(spec, models_dir)
    for file in _loaded(spec, models_dir):
        folder = "" if file == root else str(file.parent.relative_to(root))
        by_folder[folder] = by_folder.get(folder, Stored()) + _count(file)
    return by_folder


def largest(spec: ModelSpec, models_dir: Path) -> int:
    """Bytes of the largest weight file."""
    return max((file.stat().st_size for file in _loaded(spec, models_dir)), default=0)


def in_folder(folder: Path) -> Stored:
    """As `stored`, for weights that belong to a model but lie elsewhere; nothing where the folder is missing."""
    every = sorted(folder.rglob("*")) if folder.is_dir() else [folder] if folder.is_file() else []
    found = _loaded_once(file for file in every if file.is_file() and file.suffix in WEIGHTS)
    return sum(map(_count, found), Stored())


def _loaded(spec: ModelSpec, models_dir: Path) -> list[Path]:
    """The weight files that are read."""
    found = _loaded_once(file for file in files(spec, models_dir) if file.suffix in WEIGHTS)
    return _of_variant(found, spec.variant) if isinstance(spec, DiffusersModel) else found


def _loaded_once(found: Iterable[Path]) -> list[Path]:
    """A folder may hold weights twice: PyTorch's format beside safetensors, Mistral's one file beside shards."""
    every = list(found)
    every = [file for file in every if file.suffix == ".safetensors"] or every
    return [file for file in every if not file.name.startswith("consolidated")] or every


def _count(file: Path) -> Stored:
    return _safetensors(file) if file.suffix == ".safetensors" else Stored(other_bytes=file.stat().st_size)


def _of_variant(found: list[Path], variant: str | None) -> list[Path]:
    """Diffusers folders may hold each part in several variants, named `model.fp16.safetensors`; one is loaded."""
    if variant is None:
        return [file for file in found if ".fp16." not in file.name]
    return [file for file in found if f".{variant}." in file.name] or found


def _safetensors(file: Path) -> Stored:
    """Read the header alone: eight bytes of its length, little-endian, then JSON (the safetensors format)."""
    whole = file.stat().st_size
    with file.open("rb") as stream:
        prefix = stream.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else MAX_HEADER + 1
        if length > min(MAX_HEADER, whole):
            # Not a safetensors file, or a damaged one: loading it will say so, an estimate need not.
            return Stored(other_bytes=whole)
        try:
            header = json.loads(stream.read(length))
        except ValueError:
            return Stored(other_bytes=whole)
    float_bytes = floats = other = 0
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        start, end = tensor["data_offsets"]
        if tensor["dtype"] in FLOATS:
            float_bytes += end - start
            floats += (end - start) // FLOATS[tensor["dtype"]]
        else:
            other += end - start
    return Stored(float_bytes, floats, other)
