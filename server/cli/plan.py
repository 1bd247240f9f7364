"""`sagehold plan`: what a quality mode would do with a request, without doing it."""

import json
from copy import copy
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from server.cli.config import ConfigFile, read_settings
from server.cli.fail import fail
from server.core import (
    QUALITY_WORDS,
    Ask,
    Caller,
    ChatJob,
    CompletionJob,
    EmbeddingJob,
    Facts,
    ImageJob,
    Job,
    Quality,
    ScoreJob,
    SpeechJob,
    Task,
    TokenizeJob,
    Tool,
    TranscriptionJob,
)
from server.errors import SageholdError

if TYPE_CHECKING:
    from server.pipeline.plan import Plan, PlannedPass

CHARACTERS_A_TOKEN = 4
"""A rule of thumb for English text: no tokenizer is loaded for a plan."""


def command(
    prompt: Annotated[str, typer.Argument(help="The prompt, or the text to speak.")] = "Hello!",
    model: Annotated[str | None, typer.Option(help="Public name; the first that does the task if none.")] = None,
    task: Annotated[Task, typer.Option(help="What is asked of the model.")] = Task.CHAT,
    quality: Annotated[str, typer.Option(help="auto, low, medium, high or ultra.")] = "auto",
    max_tokens: Annotated[int | None, typer.Option(min=1, help="The client's limit of the answer.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, max=2, help="The client's temperature.")] = None,
    n: Annotated[int, typer.Option("-n", min=1, max=128, help="Answers or pictures asked for.")] = 1,
    stream: Annotated[bool, typer.Option("--stream", help="As for a client that streams.")] = False,
    tools: Annotated[bool, typer.Option("--tools", help="As for a client that brings functions to call.")] = False,
    seconds: Annotated[float, typer.Option(min=0, help="Length of the audio to transcribe.")] = 60.0,
    load: Annotated[float, typer.Option(min=0, help="Share of the model that is busy, 1 for all of it.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
    config: ConfigFile = None,
) -> None:
    """Tell what would be done for a request: the mode and why, its parameters, its passes, and what they may cost."""
    from server.models.config.catalog import Catalog
    from server.models.config.files import CatalogError
    from server.pipeline.modes import plan_for

    mode = Quality.of(quality)
    if mode is None:
        fail(f"{quality!r} is no quality mode. Expected {QUALITY_WORDS}.")
    settings = read_settings(config)
    try:
        catalog = Catalog.load(settings.model_configs, settings.models_dir, None, only=settings.models)
    except CatalogError as error:
        fail(error)
    name = model or next((public.id for public in catalog.public_models() if task in public.tasks), None)
    if name is None:
        fail(f"No model for {task} is installed; see `sagehold models list`.")
    job = _job(task, prompt, n=n, max_tokens=max_tokens, temperature=temperature, tools=tools)
    # A suffix of the name speaks where the option is not given.
    asked = None if mode is Quality.AUTO else mode
    ask = Ask(caller=Caller("none", "none"), model=name, quality=asked, streamed=stream)
    try:
        plan = plan_for(ask, job, catalog, lambda _: load)
    except SageholdError as error:
        fail(error.message)
    tokens = len(prompt) // CHARACTERS_A_TOKEN + 1
    facts = Facts(prompt_tokens=tokens, room=_room(plan, settings.models_dir, tokens), audio_seconds=seconds)
    if as_json:
        typer.echo(json.dumps(_described(plan, facts)))
    else:
        _print(plan, facts)


def _job(task: Task, prompt: str, *, n: int, max_tokens: int | None, temperature: float | None, tools: bool) -> Job:
    match task:
        case Task.CHAT:
            return ChatJob(
                messages=({"role": "user", "content": prompt},),
                n=n,
                max_tokens=max_tokens,
                temperature=temperature,
                tools=(Tool("function"),) if tools else (),
                tool_choice="auto" if tools else "none",
            )
        case Task.COMPLETION:
            return CompletionJob(
                prompts=(prompt,), n=n, max_tokens=16 if max_tokens is None else max_tokens, temperature=temperature
            )
        case Task.TOKENIZE:
            return TokenizeJob(of=CompletionJob(prompts=(prompt,)))
        case Task.TRANSCRIPTION:
            return TranscriptionJob(audio=b"")
        case Task.SPEECH:
            return SpeechJob(text=prompt)
        case Task.IMAGE:
            return ImageJob(prompt=prompt, n=n)
        case Task.EMBEDDING:
            return EmbeddingJob(inputs=(prompt,))
        case Task.SCORE:
            return ScoreJob(queries=(prompt,), documents=(prompt,))


def _room(plan: "Plan", models_dir: Path, prompt: int) -> int | None:
    """Tokens that an answer may have: its limit, else what the model's context leaves, as far as its files say."""
    if not isinstance(plan.job, ChatJob) or plan.job.max_tokens is not None:
        return getattr(plan.job, "max_tokens", None)
    context = getattr(plan.spec, "max_model_len", None)
    if context is None:
        try:
            config = json.loads((models_dir / plan.spec.path / "config.json").read_bytes())
            context = int(config.get("max_position_embeddings") or config["text_config"]["max_position_embeddings"])
        except (OSError, ValueError, LookupError, TypeError):
            return None
    return max(1, context - prompt)


def _parameters(plan: "Plan") -> dict[str, Any]:
    """What of the job the mode or the model's config may have set."""
    names = (
        *("max_tokens", "temperature", "top_p", "chat_template_kwargs"),
        *("beam_size", "fallback", "vad", "noise_scale", "noise_w"),
        *("steps", "guidance", "scheduler"),
    )
    found = {name: getattr(plan.job, name, None) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _described(plan: "Plan", facts: Facts) -> dict[str, Any]:
    from server.pipeline.pricing import bound

    return {
        "model": plan.spec.name,
        "quality": str(plan.quality),
        "reason": plan.reason,
        "strategy": plan.strategy.name,
        "parameters": _parameters(plan),
        "budget_seconds": plan.budget,
        "candidates": plan.candidates,
        "passes": [
            {"pass": one.name, "answers": one.answers, "most_credits": float(_most(plan, one, facts))}
            for one in plan.passes
        ],
        "most_credits": float(bound(plan, facts).most),
    }


def _most(plan: "Plan", planned: "PlannedPass", facts: Facts) -> Decimal:
    from server.pipeline.pricing import bound

    alone = copy(plan.strategy)
    alone.passes = (planned,)
    return bound(replace(plan, strategy=alone), facts).most


def _print(plan: "Plan", facts: Facts) -> None:
    described = _described(plan, facts)
    summary = Table.grid(padding=(0, 2))
    summary.add_row("model", plan.spec.name)
    summary.add_row("quality", f"[bold]{plan.quality}[/] ({plan.reason})")
    summary.add_row(
        "parameters", ", ".join(f"{name} {value}" for name, value in described["parameters"].items()) or "-"
    )
    if plan.budget is not None:
        summary.add_row("time budget", f"{plan.budget:g} s; then the best so far is the answer")
    passes = Table("pass", "answers", "most credits", title=f"strategy: {plan.strategy.name}", title_justify="left")
    for number, one in enumerate(described["passes"], 1):
        passes.add_row(f"{number} {one['pass']}", str(one["answers"]), f"{one['most_credits']:g}")
    passes.add_section()
    passes.add_row("all, which is what is held", "", f"{described['most_credits']:g}")
    console = Console()
    console.print(summary)
    console.print(passes)
    if isinstance(plan.job, ChatJob | CompletionJob):
        console.print(f"with a prompt of about {facts.prompt_tokens} tokens and answers of {facts.room or '?'}")
