"""From what was asked to what will be done: a pure function from a job, the catalog and the load to a Plan."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from server.core import QUALITY_WORDS, ChatJob, ImageJob, Job, Quality, SpeechJob, Task, TranscriptionJob
from server.errors import InvalidRequest, ModelNotFound
from server.models.config.quality import (
    QUALITY_OF,
    CandidatesMode,
    ChatMode,
    ChatQuality,
    CheckedMode,
    ImageMode,
    ImageQuality,
    RefinedMode,
    RelistenedMode,
    SpeechMode,
    SpeechQuality,
    TakesMode,
    TranscriptionMode,
    TranscriptionQuality,
)
from server.models.config.spec import AdaptedModel, DiffusersModel, FakeModel, ModelSpec, Price, VllmModel
from server.pipeline import auto
from server.pipeline.plan import Mode, Plan, PlannedPass, Strategy

INSTRUCTIONS = 200
"""Tokens, at most, of what is said to a model besides the request's messages and the answers (strategies/words.py)."""

VERDICT = 1
"""Tokens of a yes or no."""


class Resolver(Protocol):
    """The part of the catalog that planning needs."""

    def resolve(self, name: str, task: Task) -> tuple[ModelSpec, Price]:
        """The model that `name` means for `task`. Raises ModelNotFound."""
        ...


def idle(spec: ModelSpec) -> float:  # noqa: ARG001 - the load of a server that does nothing
    return 0.0


def plan_for(job: Job, catalog: Resolver, load: Callable[[ModelSpec], float] = idle) -> Plan:
    """Choose the model, the mode and the passes. Raises ModelNotFound or InvalidRequest.

    load: how much of a model is taken, from 0 to 1; it matters to `auto` only.
    """
    job, spec, price = named(job, catalog)
    asked = job.quality or Quality.AUTO
    quality = spec.quality_for(job.task)
    if quality is None:
        quality = QUALITY_OF[job.task]()
        chosen, reason = Quality.MEDIUM, "this model does it in one way only"
    elif asked is Quality.AUTO:
        chosen, reason = auto.choose(job, quality.auto, load(spec))
    else:
        chosen, reason = asked, "asked for"
    mode: Mode = getattr(quality, chosen)
    plan = Plan(
        spec, job, price, quality=chosen, reason=reason, mode=mode, budget=job.budget or getattr(mode, "budget", None)
    )
    match job:
        case ChatJob():
            assert isinstance(mode, ChatMode)
            assert isinstance(quality, ChatQuality)
            if isinstance(spec, AdaptedModel):
                job = replace(job, adapter=spec.adapter)
            return _chat(_filled(plan, job, mode, quality, asked))
        case TranscriptionJob():
            assert isinstance(mode, TranscriptionMode)
            assert isinstance(quality, TranscriptionQuality)
            return _transcription(plan, job, mode)
        case SpeechJob():
            assert isinstance(mode, SpeechMode)
            assert isinstance(quality, SpeechQuality)
            return _speech(plan, job, mode, catalog)
        case ImageJob():
            assert isinstance(mode, ImageMode)
            assert isinstance(quality, ImageQuality)
            return _image(plan, job, mode)


def named(job: Job, catalog: Resolver) -> tuple[Job, ModelSpec, Price]:
    """The job under the model's public name, and that model. A suffix such as `:ultra` becomes its quality.

    A name that is configured as it stands is never cut. Raises ModelNotFound, and InvalidRequest for a suffix that is
    no mode behind a name that is a model.
    """
    try:
        return job, *catalog.resolve(job.model, job.task)
    except ModelNotFound:
        name, colon, word = job.model.rpartition(":")
        if not colon:
            raise
        mode = Quality.of(word)
        if mode is not None:
            return replace(job, model=name, quality=job.quality or mode), *catalog.resolve(name, job.task)
        try:
            catalog.resolve(name, job.task)
        except ModelNotFound:
            pass
        else:
            message = f"'{word[:40]}' is no quality mode. Expected {QUALITY_WORDS}."
            raise InvalidRequest(message, param="quality") from None
        raise


def _noted(plan: Plan, note: str) -> Plan:
    return replace(plan, reason=f"{plan.reason}; {note}")


# ---------------------------------------------------------------- chat


def _filled(plan: Plan, job: ChatJob, mode: ChatMode, quality: ChatQuality, asked: Quality) -> Plan:
    """The plan with what the client left open: by the mode, else by the model's defaults."""
    assert isinstance(plan.spec, VllmModel | FakeModel)
    defaults = plan.spec.defaults
    # Auto may spend more on an answer than the client asked for, but must not cut it short of the default limit.
    limit = mode.max_tokens if asked is not Quality.AUTO else None
    changes: dict[str, Any] = {
        "max_tokens": job.max_tokens or limit or defaults.max_tokens,
        "temperature": _first(job.temperature, mode.temperature, defaults.temperature),
        "top_p": _first(job.top_p, mode.top_p, defaults.top_p),
    }
    switch, told = quality.reasoning_switch, job.chat_template_kwargs or {}
    if switch is not None and mode.reasoning is not None and switch not in told and job.reasoning_effort is None:
        changes["chat_template_kwargs"] = {**told, switch: mode.reasoning}
    return replace(plan, job=replace(job, **changes), limited=job.max_tokens is not None)


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _chat(plan: Plan) -> Plan:
    job, mode = plan.job, plan.mode
    assert isinstance(job, ChatJob)
    if isinstance(mode, RefinedMode):
        return _refined(plan, job, mode)
    if isinstance(mode, CheckedMode) and mode.check:
        return _checked(plan, job)
    return _single(plan, job.n)


def _single(plan: Plan, answers: int = 1) -> Plan:
    return replace(plan, strategy=Strategy.SINGLE, passes=(PlannedPass("answer", answers=answers),))


def _checked(plan: Plan, job: ChatJob) -> Plan:
    """A check writes text of its own, so it can't stand where the answer has a form to keep."""
    if form := _form(job):
        return _noted(_single(plan, job.n), f"no check, which {form} could not follow")
    check = PlannedPass("check", reads=1, extra=INSTRUCTIONS)
    return replace(plan, strategy=Strategy.CHECKED, passes=(PlannedPass("draft"), check))


def _refined(plan: Plan, job: ChatJob, mode: RefinedMode) -> Plan:
    if job.n > 1:
        return _noted(_single(plan, job.n), f"one pass for the {job.n} answers asked for")
    if mode.drafts == 1 or job.temperature == 0:
        plan = plan if mode.drafts == 1 else _noted(plan, "one draft, since at temperature 0 all are alike")
        quality = plan.spec.quality_for(job.task)
        assert isinstance(quality, ChatQuality)
        return _checked(plan, job) if quality.high.check else _single(plan)
    drafts = PlannedPass("drafts", answers=mode.drafts)
    if form := _form(job):
        plan = _noted(plan, f"drafts and a choice only, which keep {form} valid")
        return replace(plan, strategy=Strategy.DRAFTS, passes=(drafts,))
    chosen: tuple[PlannedPass, ...] = (drafts,)
    if mode.judge:
        chosen += (PlannedPass("judge", mode.drafts, mode.drafts, reads=1, extra=INSTRUCTIONS, writes=VERDICT),)
    if not mode.rewrite:
        return replace(plan, strategy=Strategy.REFINED if mode.judge else Strategy.DRAFTS, passes=chosen)
    critique = PlannedPass("critique", reads=1, extra=INSTRUCTIONS, writes=mode.critique_tokens)
    rewrite = PlannedPass("rewrite", reads=1, extra=INSTRUCTIONS + mode.critique_tokens)
    compare = PlannedPass("compare", 2, 2, reads=1, extra=INSTRUCTIONS, writes=VERDICT)
    return replace(plan, strategy=Strategy.REFINED, passes=(*chosen, critique, rewrite, compare))


def _form(job: ChatJob) -> str | None:
    """What of the request gives the answer a form that free text would break."""
    if job.tools and job.tool_choice != "none":
        return "tools"
    if job.output_schema is not None:
        return "response_format"
    if job.top_logprobs is not None:
        return "logprobs"
    return "n" if job.n > 1 else None


# ---------------------------------------------------------------- transcription and speech


def _transcription(plan: Plan, job: TranscriptionJob, mode: TranscriptionMode) -> Plan:
    job = replace(
        job,
        beam_size=job.beam_size or mode.beam_size,
        fallback=job.fallback and mode.fallback,
        vad=mode.vad if job.vad is None else job.vad,
    )
    plan = replace(plan, job=job)
    if not isinstance(mode, RelistenedMode):
        return _single(plan)
    passes = (PlannedPass("listen"), PlannedPass("listen again"))
    return replace(plan, strategy=Strategy.RELISTENED, passes=passes)


def _speech(plan: Plan, job: SpeechJob, mode: SpeechMode, catalog: Resolver) -> Plan:
    job = replace(
        job,
        noise_scale=mode.noise_scale if job.noise_scale is None else job.noise_scale,
        noise_w=mode.noise_w if job.noise_w is None else job.noise_w,
        instead=mode.voices,
    )
    plan = replace(plan, job=job)
    if not isinstance(mode, TakesMode) or mode.takes == 1:
        return _single(plan)
    if mode.transcriber is None:
        return _noted(_single(plan), "one take, since no transcription model is configured to read takes back")
    try:
        reader = catalog.resolve(mode.transcriber, Task.TRANSCRIPTION)
    except ModelNotFound:
        return _noted(_single(plan), f"one take, since the transcription model {mode.transcriber} is not installed")
    passes = (PlannedPass("takes", answers=mode.takes), PlannedPass("read back", answers=mode.takes, by=reader))
    return replace(plan, strategy=Strategy.TAKES, passes=passes)


# ---------------------------------------------------------------- images


def _image(plan: Plan, job: ImageJob, mode: ImageMode) -> Plan:
    spec = plan.spec
    steps = mode.steps
    if steps is None and isinstance(spec, DiffusersModel):
        steps = max(1, round(spec.steps * mode.effort))
    job = replace(
        job,
        steps=job.steps or steps,
        guidance=_first(job.guidance, mode.guidance),
        scheduler=job.scheduler or mode.scheduler,
    )
    plan = replace(plan, job=job)
    if not isinstance(mode, CandidatesMode) or mode.candidates == 1:
        return _single(plan, job.n)
    passes = [PlannedPass("candidates", answers=mode.candidates * job.n)]
    if mode.refine > 0 and isinstance(spec, DiffusersModel):
        passes.append(PlannedPass("refine", answers=job.n, job=refined_job(job, mode)))
    return replace(plan, strategy=Strategy.CANDIDATES, passes=tuple(passes))


def refined_job(job: ImageJob, mode: CandidatesMode) -> ImageJob:
    """The pass over the best candidates, but for the pictures that it starts from."""
    return replace(job, strength=mode.refine, enlarge=mode.enlarge, partial_images=0)
