"""`sagehold models`: what is configured, what of it is installed, and whether it works."""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import anyio
import typer
from rich.console import Console
from rich.table import Table

from server.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from server.models.config.catalog import Catalog
    from server.models.config.spec import ModelSpec, Price

app = typer.Typer(help="List the configured models and check that they work.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

UNITS = {
    "prompt_token": "prompt token",
    "completion_token": "completion token",
    "audio_second": "second of audio",
    "character": "character",
    "image": "image",
    "image_step": "image and step",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One configured model, as it lies on the disk."""

    spec: "ModelSpec"
    missing: tuple[str, ...]
    size: int
    names: tuple[str, ...]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the configured models: task, engine, whether the files are there, size, price."""
    settings, catalog = _catalog()
    rows = _rows(settings, catalog)
    if as_json:
        typer.echo(json.dumps([_facts(row) for row in rows]))
        return
    from server.models.memory.ledger import readable

    table = Table("model", "task", "engine", "files", "size", "price in credits", "also called")
    table.columns[0].no_wrap = True
    for row in rows:
        files = "[green]installed[/]"
        if row.missing:
            files = (
                f"[red]missing[/] {', '.join(row.missing)}\nbring them by: {row.spec.fetch or 'no `fetch` is given'}"
            )
        size = readable(row.size) if row.size else ""
        price = "\n".join(f"{amount} per {UNITS[unit]}" for unit, amount in _price(row.spec.price).items())
        table.add_row(
            row.spec.name,
            ", ".join(row.spec.tasks),
            row.spec.engine,
            files,
            size,
            price or "free",
            ", ".join(row.names),
        )
    # A table that goes to a file or a pipe has nobody to fold its lines for.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@app.command()
def check(
    models: Annotated[list[str] | None, typer.Argument(help="Models to check; all that are installed if none.")] = None,
    load: Annotated[bool, typer.Option("--load", help="Load each model too, and run its probe.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check the files of installed models by size and sha256, and, with --load, that each loads and answers.

    Ends with 1 if anything is wrong.
    """
    settings, catalog = _catalog()
    rows = {row.spec.name: row for row in _rows(settings, catalog)}
    wanted = models or [name for name, row in rows.items() if not row.missing]
    if unknown := [name for name in wanted if name not in rows]:
        raise _end(f"There is no model {unknown[0]!r}. Configured: {', '.join(rows)}")
    results: list[dict[str, Any]] = []
    for name in wanted:
        problems, how = _check_files(rows[name], settings)
        result: dict[str, Any] = {"id": name, "checked": how, "problems": problems}
        if load and not problems:
            reason, seconds = anyio.run(partial(_load, rows[name].spec, settings))
            result |= {"load_seconds": round(seconds, 1)} if reason is None else {"problems": [reason]}
        results.append(result)
        if not as_json:
            _print(result)
    if as_json:
        typer.echo(json.dumps(results))
    elif not results:
        typer.echo("No model is installed. The starter models are brought by: scripts/models", err=True)
    if not results or any(result["problems"] for result in results):
        raise typer.Exit(1)


def _print(result: dict[str, Any]) -> None:
    console = Console()
    if result["problems"]:
        console.print(f"[red]✗[/] {result['id']}")
        for problem in result["problems"]:
            console.print(f"    {problem}", markup=False, soft_wrap=True)
    else:
        loaded = f"; loaded and answered in {result['load_seconds']} s" if "load_seconds" in result else ""
        console.print(f"[green]✓[/] {result['id']}: {result['checked']}{loaded}", soft_wrap=True)


def _check_files(row: Row, settings: Settings) -> tuple[list[str], str]:
    """What is wrong with the model's files, and how they were checked."""
    from server.models.config import weights
    from server.models.manifest import Manifest

    if row.missing:
        how = f"bring it by: {row.spec.fetch or 'no `fetch` is given'}"
        root = settings.models_dir.resolve()
        return [f"{root / name}: missing; {how}" for name in row.missing], ""
    files = weights.files(row.spec, settings.models_dir)
    empty = [f"{file.name}: empty" for file in files if file.suffix in weights.WEIGHTS and not file.stat().st_size]
    folder = weights.location(row.spec, settings.models_dir)
    manifest = Manifest.read(folder)
    if manifest is None:
        return empty, f"{len(files)} files are there (no manifest.json tells their sha256)"
    return manifest.problems(folder, thorough=True), f"{len(manifest.files)} files as recorded, by sha256"


async def _load(spec: "ModelSpec", settings: Settings) -> tuple[str | None, float]:
    """Load one model alone, which runs its probe. Returns why it failed, or None, and the seconds it took."""
    import time

    from server.core import Claim
    from server.errors import SageholdError
    from server.models.factory import make_engine
    from server.models.memory.ledger import MemoryLedger
    from server.models.memory.machine import Machine
    from server.models.registry import Registry

    machine = await anyio.to_thread.run_sync(Machine.detect)
    ledger = MemoryLedger(machine, host_budget=settings.host_memory, gpu_budget=settings.gpu_memory)
    registry = Registry(
        [spec],
        lambda spec, allotment: make_engine(spec, models_dir=settings.models_dir, allotment=allotment),
        ledger,
        models_dir=settings.models_dir,
        load_timeout=settings.load_timeout,
        queue_timeout=settings.load_timeout,
    )
    begun = time.monotonic()
    try:
        async with registry.lease(spec, Claim("operator")):
            return None, time.monotonic() - begun
    except SageholdError as error:
        return error.message, time.monotonic() - begun
    finally:
        await registry.stop()


# ---------------------------------------------------------------- what is there


def _catalog() -> tuple[Settings, "Catalog"]:
    from server.models.config.catalog import Catalog, CatalogError

    try:
        settings = load_settings()
        catalog = Catalog.load(settings.model_configs, settings.models_dir, None)
    except (SettingsError, CatalogError) as error:
        raise _end(str(error)) from None
    return settings, catalog


def _rows(settings: Settings, catalog: "Catalog") -> list[Row]:
    """Every configured model, installed ones first."""
    from server.models.config import weights

    called: dict[str, list[str]] = {}
    for public in catalog.public_models():
        for spec in public.tasks.values():
            if public.id != spec.name and public.id not in called.get(spec.name, ()):
                called.setdefault(spec.name, []).append(public.id)
    root = settings.models_dir.resolve()
    installed = [
        Row(spec, (), weights.size(spec, settings.models_dir), tuple(called.get(spec.name, ())))
        for spec in catalog.models
    ]
    missing = [
        Row(
            one.spec,
            tuple(str(file.relative_to(root)) if file.is_relative_to(root) else str(file) for file in one.files),
            0,
            (),
        )
        for one in catalog.missing
    ]
    return installed + missing


def _facts(row: Row) -> dict[str, Any]:
    return {
        "id": row.spec.name,
        "task": ", ".join(row.spec.tasks),
        "engine": row.spec.engine,
        "installed": not row.missing,
        "missing": list(row.missing),
        "fetch": row.spec.fetch,
        "size": row.size,
        "price": _price(row.spec.price),
        "names": list(row.names),
        "load": row.spec.load,
        "description": row.spec.description,
    }


def _price(price: "Price") -> dict[str, str]:
    """The units that cost something, as decimal strings without trailing zeros."""
    amounts: Iterable[tuple[str, Decimal]] = price.model_dump().items()
    return {unit: f"{amount.normalize():f}" for unit, amount in amounts if amount}


def _end(message: str) -> typer.Exit:
    print(message, file=sys.stderr)
    return typer.Exit(2)
