"""What a check is given of the machine, the run and its stand. Travels as JSON to the check's process."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is up. model_seconds: from its start until each model was ready; None for one that failed.

    gpu_before: bytes in use on each device, by its number, before the start.
    """

    url: str
    key: str
    pid: int
    log: str
    start_seconds: float
    model_seconds: Mapping[str, float | None]
    gpu_before: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Setting:
    """gpu: whether there is one to be used. quick: small figures, for a processor in CI.

    models_dir: the starter models. work: a folder that outlives the run, for logs and for models of random weights.
    """

    models_dir: Path
    work: Path
    gpu: bool
    quick: bool = False
    running: Running | None = None

    @property
    def server(self) -> Running:
        """The server of the check's stand. An error in the table of checks if it has none."""
        if self.running is None:
            raise LookupError("this check has no stand")
        return self.running

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Self:
        data: dict[str, Any] = json.loads(text)
        running = data.pop("running")
        if running is not None:
            running["gpu_before"] = {int(number): used for number, used in running["gpu_before"].items()}
            running = Running(**running)
        models_dir, work = Path(data.pop("models_dir")), Path(data.pop("work"))
        return cls(models_dir=models_dir, work=work, running=running, **data)
