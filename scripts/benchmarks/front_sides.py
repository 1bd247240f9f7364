"""The servers of `scripts/bench front`: this tree's and that of another revision, with and without keys."""

import io
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.benchmarks.front_cases import NEVER, PACE, write_configs
from scripts.benchmarks.processes import Side, StartError
from scripts.benchmarks.sides import REPOSITORY, sagehold

WRAPPER = Path(__file__).with_name("front_server.py")
MODES = ("off", "keys")
"""Values of SAGEHOLD_AUTH."""
CREDITS = 10**6


@dataclass(frozen=True, slots=True)
class Tree:
    """The code of one revision. folder holds its package `server`."""

    name: str
    folder: Path
    revision: str


def this_tree() -> Tree:
    """The code as it lies here, changed or not."""
    try:
        changed = ", changed" if git("status", "--porcelain", "--", "server").strip() else ""
        revision = git("rev-parse", "--short", "HEAD").decode().strip() + changed
    except LookupError:
        revision = "unknown"
    return Tree("this tree", REPOSITORY, revision)


def tree_of(revision: str, folder: Path) -> Tree:
    """A copy of another revision's code, laid into `folder`. Raises LookupError if there is no such revision."""
    try:
        commit = git("rev-parse", "--short", "--verify", "--end-of-options", f"{revision}^{{commit}}").decode().strip()
        packed = git("archive", "--format=tar", commit, "server")
    except LookupError as error:
        raise LookupError(f"--against {revision}: {error}") from None
    folder.mkdir()
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return Tree(revision, folder, commit)


def git(*words: str) -> bytes:
    """What git prints. Raises LookupError with what it says of a failure."""
    try:
        return subprocess.run(["git", "-C", REPOSITORY, *words], capture_output=True, check=True).stdout
    except OSError as error:
        raise LookupError(f"git: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        raise LookupError(error.stderr.decode(errors="replace").strip()) from None


def side(tree: Tree, auth: str, folder: Path, *, paced: bool = False, profile: Path | None = None) -> Side:
    """A server of the tree's code, with this environment's packages.

    Raises StartError if the interpreter would take its code from elsewhere.
    """
    name = "-".join([tree.name.replace("/", "_"), auth, *(["paced"] if paced else [])])
    data, configs = folder / f"data-{name}", folder / "configs"
    # Without access log: a terminal or a disk is none of what is measured.
    environment = {"SAGEHOLD_AUTH": auth, "SAGEHOLD_LOG_LEVEL": "warning", "SAGEHOLD_DATA_DIR": str(data)}
    environment["PYTHONPATH"] = str(tree.folder)
    made = sagehold(
        data,
        model="fake-0",
        models_dir=folder,
        name=name,
        everything=True,
        configs=configs if configs.exists() else write_configs(configs),
        environment=environment,
    )
    python, dash_m, module, *rest = made.command
    program = [dash_m, module]
    if paced or profile:
        program = [str(WRAPPER)]
        program += ["--pace", str(PACE)] if paced else []
        program += ["--profile", str(profile)] if profile else []
    check_code(tree, python, made.environment)
    # -P: neither the folder that this was started in nor the wrapper's comes before PYTHONPATH.
    return replace(made, command=(python, "-P", *program, *rest))


def check_code(tree: Tree, python: str, environment: Mapping[str, str]) -> None:
    command = [python, "-P", "-c", "import server; print(server.__file__)"]
    found = subprocess.run(command, env=dict(environment), capture_output=True, check=True, text=True).stdout.strip()
    if not Path(found).is_relative_to(tree.folder):
        raise StartError(f"{tree.name}: its code would be taken from elsewhere")


SET_UP = """
import anyio
from server.accounts.keys.service import Accounts
from server.settings import load_settings

async def set_up():
    async with await Accounts.open(load_settings()):
        pass

anyio.run(set_up)
"""
"""What a first start does with the data folder: the command line makes none."""


def payer(side: Side) -> str:
    """A key of a metered account: limits that refuse none are counted, and there are more credits than a load spends.

    Made before the server starts, by the command line of its own revision, which may keep its database in another way.
    Raises StartError.
    """
    set_up(side)
    limits = [f"--{name}={NEVER}" for name in ("requests-per-minute", "tokens-per-minute", "concurrent")]
    command_line(side, "accounts", "create", "payer", f"--credits={CREDITS}", *limits)
    return command_line(side, "keys", "create", "--account=payer", *limits)


def set_up(side: Side) -> None:
    """Make the side's data folder as its first start would, by its own code. Raises StartError."""
    _run(side, "making the database", "-c", SET_UP)


def command_line(side: Side, *words: str) -> str:
    """What the side's own `sagehold` prints. Raises StartError."""
    return _run(side, f"sagehold {' '.join(words[:2])}", "-m", "server", *words)


def _run(side: Side, what: str, *words: str) -> str:
    """What Python prints, with the side's own code. what: for the error. Raises StartError."""
    command = [side.command[0], "-P", *words]
    done = subprocess.run(command, env=dict(side.environment), capture_output=True, text=True, check=False)
    if done.returncode:
        raise StartError(f"{side.name}: {what} failed:\n{done.stderr[-1000:]}")
    return done.stdout.strip()


def known_modes(words: Sequence[str]) -> list[str]:
    """Raises LookupError."""
    if unknown := [word for word in words if word not in MODES]:
        raise LookupError(f"--auth takes {' and '.join(MODES)}, not {', '.join(unknown)}")
    return list(dict.fromkeys(words))
