"""`scripts/bench allocator`: pages that the chat model's processes fault in, as glibc is and as this server sets it.

Each round starts both anew: how a heap comes to lie, and with it how often pages are given back, differs from start to
start. Counts don't depend on what else the machine does, as seconds do. They do on huge pages, of which one takes the
place of 512: `--huge-pages` tries what the kernel may grant (root only, and for the whole machine meanwhile).
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.huge_pages import HugePages, granted, granting, held
from scripts.benchmarks.processes import Server

console = Console()

AS_IT_IS = {"MALLOC_CHECK_": "0"}
"""Its default; and since it is set, the server leaves glibc alone (server/engines/malloc.py)."""

ASKING = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""As the server sets it, and glibc 2.35 or newer asks for huge pages, which it does under `madvise` only."""


def variants(setting: HugePages) -> dict[str, dict[str, str]]:
    """The environments that are compared, by name."""
    both = {"glibc as it is": AS_IT_IS, "ours": {}}
    return both | {"ours, asking": ASKING} if setting is HugePages.MADVISE else both


@dataclass(frozen=True, slots=True)
class Round:
    """For each token. faults: minor page faults; milliseconds: processor time; system: of that in the kernel.

    huge_pages: what the kernel granted; huge: MiB of them that the processes had at the end.
    """

    huge_pages: HugePages
    side: str
    faults: float
    milliseconds: float
    system: float
    huge: float


def allocator(
    rounds: Annotated[int, typer.Option(min=1, help="Starts of each side.")] = 4,
    streams: Annotated[int, typer.Option(min=1, help="Requests at a time.")] = 16,
    huge_pages: Annotated[list[HugePages] | None, typer.Option(help="What the kernel grants meanwhile. Root.")] = None,
    models_dir: Annotated[Path, typer.Option(help="Folder of the models' weights.")] = Path("models"),
    output: Annotated[Path, typer.Option(help="File for the figures, as JSON.")] = Path("data/bench/allocator.json"),
) -> None:
    """Pages that the chat model's processes fault in: glibc as it is, and as this server sets it."""
    from scripts.benchmarks import sides
    from scripts.benchmarks.compare import scratch
    from scripts.benchmarks.load import Load, measure
    from scripts.benchmarks.processes import serving
    from scripts.benchmarks.report import keep

    spec = sides.chat_model(models_dir, None)
    tokenizer = (models_dir / spec.path).resolve()
    found: list[Round] = []
    with scratch() as folder:
        for number in range(rounds):
            for setting in huge_pages or [granted()]:
                for name, environment in list(variants(setting).items())[:: 1 if number % 2 == 0 else -1]:
                    side = sides.sagehold(
                        folder / f"{name}-{setting}-{number}".replace(" ", "-"),
                        model=spec.name,
                        models_dir=models_dir.resolve(),
                        name=name,
                        environment=environment,
                    )
                    with granting(setting), serving(side, folder) as server:
                        measure(server, Load(streams=streams, requests=streams, output_tokens=32), 1, tokenizer)
                        load = Load(streams=streams, requests=2 * streams)
                        before = _counts(server)
                        figures, _ = measure(server, load, 1000 + number, tokenizer)
                        used = [after - earlier for after, earlier in zip(_counts(server), before, strict=True)]
                        huge = held(process.pid for process in server.tree()) / 2**20
                    tokens = load.requests * load.output_tokens
                    faults, user, system = (count / tokens for count in used)
                    found.append(Round(setting, name, faults, 1000 * (user + system), 1000 * system, huge))
                    console.print(
                        f"start {number + 1}, huge pages {setting}, {name}: {faults:.1f} faults, "
                        f"{found[-1].milliseconds:.2f} ms a token, {huge:.0f} MiB huge, {figures.throughput:.0f} tok/s"
                    )
    for setting in dict.fromkeys(one.huge_pages for one in found):
        _show(
            [one for one in found if one.huge_pages == setting],
            list(variants(setting)),
            f"allocator, huge pages: {setting}",
        )
    keep(output, "allocator", {"rounds": [asdict(one) for one in found]})
    console.print(f"figures in {output}")


def _counts(server: Server) -> tuple[float, float, float]:
    """Of the server's processes together: minor faults, and seconds of user and of system time."""
    faults = user = system = 0.0
    for process in server.tree():
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        times = process.cpu_times()
        faults += int(fields[7])  # minflt, the tenth field (proc(5)); the first two are cut off
        user += times.user
        system += times.system
    return faults, user, system


def _show(found: list[Round], names: list[str], title: str) -> None:
    table = Table("for each token", *names, title=title)
    rows: dict[str, Any] = {
        "page faults": lambda one: one.faults,
        "processor time, ms": lambda one: one.milliseconds,
        "of that in the kernel, ms": lambda one: one.system,
        "huge pages at the end, MiB in all": lambda one: one.huge,
    }
    for label, of in rows.items():
        cells = []
        for name in names:
            values = [of(one) for one in found if one.side == name]
            cells.append(f"{median(values):.2f} ({min(values):.2f}–{max(values):.2f})")
        table.add_row(label, *cells)
    console.print(table)
