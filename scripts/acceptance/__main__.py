"""`scripts/gpu_acceptance`: the first ten minutes on a GPU, or what of them a processor can show."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console

from scripts.acceptance import gpu, report
from scripts.acceptance.check import Check, Outcome, Status
from scripts.acceptance.record import Record
from scripts.acceptance.runner import ROOT, run_all
from scripts.acceptance.setting import Setting
from scripts.acceptance.stands import ServerStands
from scripts.acceptance.table import CHECKS, ordered
from server.offline import go_offline

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console()

Names = Annotated[list[str] | None, typer.Option(help="This check only; may be given several times.", metavar="NAME")]
DOCUMENT = ROOT / "docs/gpu.md"


@app.command()
def main(
    only: Names = None,
    skip: Annotated[list[str] | None, typer.Option(help="Not this check; may be repeated.", metavar="NAME")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Tell the checks and what is expected of each.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Small figures: for a processor, and for CI.")] = False,
    on_gpu: Annotated[
        bool | None, typer.Option("--gpu/--no-gpu", help="Use a GPU or none, whatever NVML tells.", show_default=False)
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="For all checks together.")] = 600,
    json_file: Annotated[
        Path, typer.Option("--json", help="File for the results; continued if it is of this machine.", dir_okay=False)
    ] = Path("data/acceptance/results.json"),
    markdown: Annotated[bool, typer.Option("--markdown", help="Write the results into docs/gpu.md too.")] = False,
    models_dir: Annotated[Path, typer.Option(help="Folder of the starter models.")] = Path("models"),
    work: Annotated[Path, typer.Option(help="Folder for logs and for models of random weights.")] = Path(
        "data/acceptance"
    ),
) -> None:
    """Check an installation: what is expected of a machine with a GPU, measured; stopping at nothing.

    Ends with 0 if no check failed and none was left out for want of time.
    """
    devices = gpu.devices()
    use_gpu = bool(devices) if on_gpu is None else on_gpu
    chosen = _chosen(only or [], skip or [], use_gpu)
    if list_:
        for check in chosen:
            needs = " (needs a GPU)" if check.needs_gpu else ""
            _say(f"{check.name:14} {check.title}{needs}\n{'':14} expected: {check.expected}")
        return
    setting = Setting(models_dir=models_dir.resolve(), work=work.resolve(), gpu=use_gpu, quick=quick)
    record = Record(json_file, facts(use_gpu), [check.name for check in ordered(use_gpu)])
    cards = ", ".join(device.name for device in devices) if use_gpu else "no GPU: what needs one is left out"
    _say(f"{len(chosen)} checks; {cards}")
    outcomes = run_all(
        chosen, setting, ServerStands(setting), record, seconds=seconds, tell=lambda one: report.line(one, console)
    )
    report.table(outcomes, CHECKS, console)
    _say(f"results in {json_file}, logs in {work}")
    if markdown:
        DOCUMENT.write_text(report.refreshed(DOCUMENT.read_text(), report.markdown(record.outcomes, record.machine)))
        _say(f"{DOCUMENT.relative_to(ROOT)} has them too")
    raise typer.Exit(1 if any(map(_bad, outcomes)) else 0)


def facts(use_gpu: bool) -> dict[str, Any]:
    """The machine in general words; nothing that names the host."""
    from scripts.benchmarks.report import machine

    names = [f"{one.name}, {one.total / 2**30:.0f} GiB" for one in gpu.devices()] if use_gpu else []
    return {**machine(), "gpus": names}


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _chosen(only: list[str], skip: list[str], use_gpu: bool) -> list[Check]:
    known = {check.name for check in CHECKS}
    if unknown := sorted({*only, *skip} - known):
        _say(f"gpu_acceptance: no such check: {', '.join(unknown)}; --list tells them")
        raise typer.Exit(2)
    return [check for check in ordered(use_gpu) if (not only or check.name in only) and check.name not in skip]


def _bad(outcome: Outcome) -> bool:
    return outcome.status in (Status.FAILED, Status.NOT_RUN)


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # Ended as by Ctrl-C: every block is left, and with it every server.
    signal.signal(signal.SIGTERM, _terminated)
    go_offline()
    os.chdir(ROOT)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    app(prog_name="scripts/gpu_acceptance")
