"""Chat: its modes, what they cost, and when auto spends more on an answer."""

from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from typing import Any

from server.core import ChatJob, Facts, Quality, Usage
from server.core.money import ZERO
from server.models.config.quality import Auto, ChatMode, ChatQuality, CheckedMode, RefinedMode
from server.models.config.spec import AdaptedModel, FakeModel, VllmModel
from server.pipeline.plan import Plan, PlannedPass
from server.pipeline.questions import arithmetic, code, question
from server.pipeline.strategies.chat.best_of_drafts import Drafts, Refined
from server.pipeline.strategies.chat.draft_and_check import Checked
from server.pipeline.strategies.single import Single
from server.pipeline.tasks.base import CHARACTERS_A_TOKEN, Bound, Choice, Resolver, TaskRules, first


class ChatRules(TaskRules[ChatJob]):
    # ------------------------------------------------------------ auto

    def wanted(self, job: ChatJob, auto: Auto, *, streamed: bool) -> tuple[Quality, str]:
        # Whoever fixes how tokens are drawn, or works on the answer by program, wants the model as it is.
        if fixed := _fixed(job):
            return Quality.MEDIUM, f"the request sets {fixed}"
        text, pictures = question(job)
        if pictures:
            return Quality.MEDIUM, "images in the prompt"
        if streamed:
            return Quality.MEDIUM, "streamed: the first word should come soon"
        if code(text):
            return Quality.HIGH, "code in the prompt"
        if arithmetic(text):
            return Quality.HIGH, "arithmetic in the prompt"
        if len(text) >= auto.long:
            return Quality.HIGH, "a long prompt"
        return Quality.MEDIUM, "nothing asks for more"

    # ------------------------------------------------------------ the plan

    def plan(self, choice: Choice, job: ChatJob, catalog: Resolver) -> Plan:  # noqa: ARG002 - chat needs no other model
        limited = job.max_tokens is not None
        job = self._filled(choice, job)
        mode = choice.settings
        if isinstance(mode, RefinedMode):
            return self._refined(choice, job, mode, limited)
        if isinstance(mode, CheckedMode) and mode.check:
            return self._checked(choice, job, mode, limited)
        return choice.plan(job, Single(job, job.n), limited=limited)

    def _filled(self, choice: Choice, job: ChatJob) -> ChatJob:
        """With what the client left open: by the mode, else by the model's defaults."""
        spec, mode, quality = choice.spec, choice.settings, choice.modes
        assert isinstance(spec, VllmModel | FakeModel)
        mode = mode if isinstance(mode, ChatMode) else ChatMode()
        # Auto may spend more on an answer than the client asked for, but must not cut it short of the default limit.
        limit = None if choice.chosen else mode.max_tokens
        changes: dict[str, Any] = {
            "max_tokens": job.max_tokens or limit or spec.defaults.max_tokens,
            "temperature": first(job.temperature, mode.temperature, spec.defaults.temperature),
            "top_p": first(job.top_p, mode.top_p, spec.defaults.top_p),
        }
        switch = quality.reasoning_switch if isinstance(quality, ChatQuality) else None
        arguments = job.chat_template_kwargs or {}
        if switch and mode.reasoning is not None and switch not in arguments and job.reasoning_effort is None:
            changes["chat_template_kwargs"] = {**arguments, switch: mode.reasoning}
        if isinstance(spec, AdaptedModel):
            changes["adapter"] = spec.adapter
        # A copy takes 5 µs, and a client that says all of it needs none.
        return replace(job, **changes) if any(getattr(job, name) != new for name, new in changes.items()) else job

    def _checked(self, choice: Choice, job: ChatJob, mode: CheckedMode, limited: bool, note: str = "") -> Plan:
        """A check writes text of its own, so it can't stand where the answer has a form to keep."""
        if form := _form(job):
            note = f"{note}; no check, which {form} could not follow".removeprefix("; ")
            return choice.plan(job, Single(job, job.n), limited=limited, note=note)
        return choice.plan(job, Checked(job, mode.keep_above), limited=limited, note=note)

    def _refined(self, choice: Choice, job: ChatJob, mode: RefinedMode, limited: bool) -> Plan:
        if job.n > 1:
            note = f"one pass for the {job.n} answers asked for"
            return choice.plan(job, Single(job, job.n), limited=limited, note=note)
        if mode.drafts == 1 or job.temperature == 0:
            note = "" if mode.drafts == 1 else "one draft, since at temperature 0 all are alike"
            quality = choice.modes
            assert isinstance(quality, ChatQuality)
            if quality.high.check:
                return self._checked(choice, job, quality.high, limited, note)
            return choice.plan(job, Single(job, job.n), limited=limited, note=note)
        if form := _form(job):
            note = f"drafts and a choice only, which keep {form} valid"
            return choice.plan(job, Drafts(job, mode), limited=limited, note=note)
        if not (mode.judge or mode.rewrite):
            return choice.plan(job, Drafts(job, mode), limited=limited)
        quality = choice.modes
        switch = quality.reasoning_switch if isinstance(quality, ChatQuality) else None
        return choice.plan(job, Refined(job, mode, switch), limited=limited)

    # ------------------------------------------------------------ what it costs

    def size(self, plan: Plan) -> float:
        assert isinstance(plan.job, ChatJob)
        prompt = sum(_characters(message.get("content")) for message in plan.job.messages) / CHARACTERS_A_TOKEN
        answer = plan.job.max_tokens or 0
        return sum(
            planned.prompts * (prompt + planned.extra)
            + planned.answers * (answer if planned.writes is None else planned.writes)
            for planned in plan.passes
        )

    def bound(self, plan: Plan, facts: Facts) -> Bound:
        fixed, token = self._price(plan, facts)
        most = fixed + (facts.room or 0) * token
        return Bound(most, most if plan.limited else fixed + token)

    def foreseen(self, plan: Plan) -> Bound:
        assert isinstance(plan.job, ChatJob)
        return self.bound(plan, Facts(room=plan.job.max_tokens or 1))

    def least(self, plan: Plan) -> Decimal:
        fixed, token = self._price(plan, Facts())
        return fixed + token

    def limit(self, plan: Plan, facts: Facts, held: Decimal) -> int | None:
        fixed, token = self._price(plan, facts)
        return int(((held - fixed) / token).to_integral_value(ROUND_DOWN)) if token else None

    def cost(self, plan: Plan, planned: PlannedPass, usage: Usage) -> Decimal:  # noqa: ARG002 - all passes cost alike
        price = plan.price
        return usage.prompt_tokens * price.prompt_token + usage.completion_tokens * price.completion_token

    @staticmethod
    def _price(plan: Plan, facts: Facts) -> tuple[Decimal, Decimal]:
        """What a plan costs at most whatever its answer's length, and for each token that an answer may have."""
        price = plan.price
        fixed = token = ZERO
        for planned in plan.passes:
            fixed += planned.prompts * (facts.prompt_tokens + planned.extra) * price.prompt_token
            token += planned.prompts * planned.reads * price.prompt_token
            if planned.writes is None:
                token += planned.answers * price.completion_token
            else:
                fixed += planned.answers * planned.writes * price.completion_token
        return fixed, token


def _characters(content: object) -> int:
    """Of a message's text; what else it holds is not counted."""
    if isinstance(content, str):
        return len(content)
    parts = content if isinstance(content, list | tuple) else ()
    return sum(len(part.get("text") or "") for part in parts if isinstance(part, dict))


def _form(job: ChatJob) -> str | None:
    """What of the request gives the answer a form that free text would break."""
    if job.tools and job.tool_choice != "none":
        return "tools"
    if job.output_schema is not None:
        return "response_format"
    if job.top_logprobs is not None:
        return "logprobs"
    return "n" if job.n > 1 else None


def _fixed(job: ChatJob) -> str | None:
    """The parameter by which the client has taken the choice upon itself, if any."""
    settings: dict[str, Any] = {
        "tools": job.tools,
        "response_format": job.output_schema is not None,
        "logprobs": job.top_logprobs is not None,
        "n": job.n > 1,
        "seed": job.seed is not None,
        "temperature 0": job.temperature == 0,
        "logit_bias": job.logit_bias,
        "ignore_eos": job.ignore_eos,
        "min_tokens": job.min_tokens,
        "reasoning_effort": job.reasoning_effort is not None,
    }
    return next((name for name, given in settings.items() if given), None)
