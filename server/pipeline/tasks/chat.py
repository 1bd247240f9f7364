"""Chat: its modes, what they cost, and when auto spends more on an answer."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from typing import Any

from server.core import ChatJob, Facts, Quality, Usage, sounds_of
from server.core.money import ZERO
from server.models.config.quality import Auto, ChatMode, ChatQuality, CheckedMode, RefinedMode
from server.models.config.spec import AdaptedModel, ChatDefaults, FakeModel, VllmModel
from server.pipeline.plan import Plan, PlannedPass, Strategy
from server.pipeline.questions import arithmetic, code, question
from server.pipeline.strategies.chat.best_of_drafts import Drafts, Refined
from server.pipeline.strategies.chat.draft_and_check import Checked
from server.pipeline.strategies.chat.heard import Heard
from server.pipeline.strategies.chat.spoken import Spoken
from server.pipeline.strategies.single import Single
from server.pipeline.tasks.base import CHARACTERS_A_TOKEN, Bound, Choice, Resolver, TaskRules, first
from server.pipeline.tasks.chat_senses import hearer, most_seconds, speaker

UNLIMITED = 256
"""Tokens that an answer without a limit counts for, where work is estimated before it begins: a usual answer."""

SPOKEN_A_TOKEN = 6
"""Characters of an answer's token, generously: what a spoken answer is held for. It costs what it has."""


class ChatRules(TaskRules[ChatJob]):
    # ------------------------------------------------------------ auto

    def wanted(self, job: ChatJob, auto: Auto, *, streamed: bool) -> tuple[Quality, str]:
        # Whoever fixes how tokens are drawn, or works on the answer by program, wants the model as it is.
        if fixed := _fixed(job):
            return Quality.MEDIUM, f"the request sets {fixed}"
        text, pictures = question(job)
        if pictures:
            return Quality.MEDIUM, "images in the prompt"
        if sounds_of(job.messages):
            return Quality.MEDIUM, "sound in the prompt"
        if streamed:
            return Quality.MEDIUM, "streamed: the first word should come soon"
        if "code" in auto.high_for and code(text):
            return Quality.HIGH, "code in the prompt"
        if "arithmetic" in auto.high_for and arithmetic(text):
            return Quality.HIGH, "arithmetic in the prompt"
        if "length" in auto.high_for and len(text) >= auto.long:
            return Quality.HIGH, "a long prompt"
        return Quality.MEDIUM, "nothing asks for more"

    # ------------------------------------------------------------ the plan

    def plan(self, choice: Choice, job: ChatJob, catalog: Resolver) -> Plan:
        limited = job.max_tokens is not None
        job, changed = self._filled(choice, job)
        if changed:
            choice = replace(choice, notes=(changed,))
        plan = self._answering(choice, job, limited)
        sounds = sounds_of(job.messages)
        if sounds and (ears := hearer(choice, sounds, catalog)):

            def answering(job: ChatJob) -> Strategy:
                return self._answering(choice, job, limited).strategy

            plan = replace(plan, strategy=Heard(job, answering, ears, most_seconds(choice)))
        if mouth := speaker(choice, job, catalog):
            plan = replace(plan, strategy=Spoken(job, plan.strategy, mouth))
        return plan

    def _answering(self, choice: Choice, job: ChatJob, limited: bool) -> Plan:
        """In text, and by the model itself."""
        mode = choice.settings
        several = isinstance(mode, RefinedMode) or (isinstance(mode, CheckedMode) and mode.check)
        if several and (open_end := _open_end(job)):
            note = f"one pass, for the request sets {open_end}"
            return choice.plan(job, Single(job, job.n), limited=limited, note=note)
        if isinstance(mode, RefinedMode):
            return self._refined(choice, job, mode, limited)
        if isinstance(mode, CheckedMode) and mode.check:
            return self._checked(choice, job, mode, limited)
        return choice.plan(job, Single(job, job.n), limited=limited)

    def _filled(self, choice: Choice, job: ChatJob) -> tuple[ChatJob, str]:
        """With what the client left open, and what the mode changed of the documented defaults.

        Those hold where auto chose the mode: it may spend more on an answer than the client asked for, and no more. A
        mode that the client chose brings its own.
        """
        spec, mode, quality = choice.spec, choice.settings, choice.modes
        assert isinstance(spec, VllmModel | FakeModel)
        mode, said = mode if isinstance(mode, ChatMode) else ChatMode(), spec.defaults
        limit = None if choice.chosen else mode.max_tokens
        changes: dict[str, Any] = {
            "max_tokens": job.max_tokens or _limit(job, limit or (None if job.no_default_limit else said.max_tokens)),
            "temperature": _chosen(choice, job.temperature, mode.temperature, said.temperature),
            "top_p": _chosen(choice, job.top_p, mode.top_p, said.top_p),
        }
        changed = [] if choice.chosen else _changed(job, changes, said)
        switch = quality.reasoning_switch if isinstance(quality, ChatQuality) else None
        arguments = job.chat_template_kwargs or {}
        if switch and mode.reasoning is not None and switch not in arguments and job.reasoning_effort is None:
            changes["chat_template_kwargs"] = {**arguments, switch: mode.reasoning}
        if isinstance(spec, AdaptedModel):
            changes["adapter"] = spec.adapter
        # A copy takes 5 µs, and a client that says all of it needs none.
        if any(getattr(job, name) != new for name, new in changes.items()):
            job = replace(job, **changes)
        return job, f"the mode sets {', '.join(changed)}" if changed else ""

    def _checked(self, choice: Choice, job: ChatJob, mode: CheckedMode, limited: bool, note: str = "") -> Plan:
        """A check writes text of its own, so it can't stand where the answer has a form to keep."""
        if form := _form(job):
            note = f"{note}; no check, which {form} could not follow".removeprefix("; ")
            return choice.plan(job, Single(job, job.n), limited=limited, note=note)
        return choice.plan(job, Checked(job, mode.keep_above), limited=limited, note=note)

    def _refined(self, choice: Choice, job: ChatJob, mode: RefinedMode, limited: bool) -> Plan:
        if told := _told(job):
            return choice.plan(job, Single(job, job.n), limited=limited, note=f"one pass, whose tokens {told} tells")
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
        answer = plan.job.max_tokens or UNLIMITED
        return sum(
            planned.prompts * (prompt + planned.extra)
            + planned.answers * (answer if planned.writes is None else planned.writes)
            for planned in plan.passes
            if planned.by is None
        )

    def bound(self, plan: Plan, facts: Facts) -> Bound:
        fixed, token = self._price(plan, facts)
        most = fixed + (facts.room or 0) * token
        if plan.limited:
            return Bound(most, most)
        assert isinstance(plan.job, ChatJob)
        room = facts.room or 0
        return Bound(most, fixed + token * max(1, plan.job.min_tokens or 0), fixed + token * min(room, UNLIMITED))

    def foreseen(self, plan: Plan) -> Bound:
        assert isinstance(plan.job, ChatJob)
        return self.bound(plan, Facts(room=plan.job.max_tokens or 1))

    def least(self, plan: Plan) -> Decimal:
        fixed, token = self._price(plan, Facts())
        return fixed + token

    def limit(self, plan: Plan, facts: Facts, held: Decimal) -> int | None:
        fixed, token = self._price(plan, facts)
        return int(((held - fixed) / token).to_integral_value(ROUND_DOWN)) if token else None

    def cost(self, plan: Plan, planned: PlannedPass, usage: Usage) -> Decimal:
        if planned.by is not None:
            price = planned.by[1]
            return Decimal(str(usage.audio_seconds)) * price.audio_second + usage.characters * price.character
        price = plan.price
        return usage.prompt_tokens * price.prompt_token + usage.completion_tokens * price.completion_token

    @staticmethod
    def _price(plan: Plan, facts: Facts) -> tuple[Decimal, Decimal]:
        """What a plan costs at most whatever its answer's length, and for each token that an answer may have."""
        price = plan.price
        fixed = token = ZERO
        for planned in plan.passes:
            if planned.by is not None:  # it hears the prompt's sounds, or speaks the answer
                fixed += Decimal(str(facts.audio_seconds)) * planned.by[1].audio_second
                token += SPOKEN_A_TOKEN * planned.by[1].character
                continue
            fixed += planned.prompts * (facts.prompt_tokens + planned.extra) * price.prompt_token
            token += planned.prompts * planned.reads * price.prompt_token
            if planned.writes is None:
                token += planned.answers * price.completion_token
            else:
                fixed += planned.answers * planned.writes * price.completion_token
        return fixed, token


def _limit(job: ChatJob, limit: int | None) -> int | None:
    """A limit that nobody asked for gives way to the least length that somebody did."""
    return None if limit is None else max(limit, job.min_tokens or 0)


def _chosen(choice: Choice, client: float | None, mode: float | None, default: float | None) -> float | None:
    return first(client, *((default, mode) if choice.chosen else (mode, default)))


def _changed(job: ChatJob, changes: Mapping[str, Any], said: ChatDefaults) -> list[str]:
    """What a mode sets otherwise than the defaults say, such as `max_tokens 128 (not 256)`."""
    changed = []
    for name in ("max_tokens", "temperature", "top_p"):
        default, new = getattr(said, name), changes[name]
        if getattr(job, name) is not None or new is None or new == default:
            continue
        if name == "max_tokens" and (default is None or new != _limit(job, default)):
            changed.append(f"{name} {new} (not {'the room that is left' if default is None else default})")
        elif name != "max_tokens" and default is not None:
            changed.append(f"{name} {new:g} (not {default:g})")
    return changed


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
    if job.output_schema is not None or job.constraint is not None:
        return job.form_field or "response_format"
    if job.top_logprobs is not None:
        return "logprobs"
    return "n" if job.n > 1 else _drawn(job) or _told(job)


def _drawn(job: ChatJob) -> str | None:
    """What of the request says how the answer's own tokens are drawn, so that no other pass may replace them."""
    names = (
        *("logit_bias", "bad_words", "allowed_token_ids", "min_tokens", "ignore_eos", "stop_token_ids"),
        *("include_stop_str_in_output",),
    )
    return next((name for name in names if getattr(job, name)), None)


def _told(job: ChatJob) -> str | None:
    """What of the request asks for the tokens that were read, which one pass alone can tell."""
    if job.prompt_logprobs is not None:
        return "prompt_logprobs"
    return "return_token_ids" if job.token_ids else None


def _open_end(job: ChatJob) -> str | None:
    """What of the request lets no other pass read the chat with more added to it: the answer is no turn of its own, or
    what is added would push the chat out of the tokens that are read."""
    if job.continue_final_message:
        return "continue_final_message"
    if job.truncate_prompt_tokens is not None:
        return "truncate_prompt_tokens"
    return None if job.add_generation_prompt else "add_generation_prompt"


def _fixed(job: ChatJob) -> str | None:
    """The parameter by which the client has taken the choice upon itself, if any."""
    settings: dict[str, Any] = {
        "tools": job.tools,
        job.form_field or "response_format": job.output_schema is not None or job.constraint is not None,
        "logprobs": job.top_logprobs is not None,
        "n": job.n > 1,
        "seed": job.seed is not None,
        "temperature 0": job.temperature == 0,
        "logit_bias": job.logit_bias,
        "ignore_eos": job.ignore_eos,
        "min_tokens": job.min_tokens,
        "reasoning_effort": job.reasoning_effort is not None,
        "continue_final_message": job.continue_final_message,
        "add_generation_prompt": not job.add_generation_prompt,
    }
    return next((name for name, given in settings.items() if given), None) or _drawn(job) or _told(job)
