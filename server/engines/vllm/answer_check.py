"""Whether a finished answer has the form that was asked for.

A grammar binds each token, but it can give up: then it admits the end of the answer, wherever that is. And some
keywords of JSON Schema are none of its business; see `schema_keywords.CHECKED`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from vllm.outputs import CompletionOutput

from server.core import Finish, Sampling, TextDelta
from server.engines.vllm import grammar, schema_form, text_form
from server.engines.vllm.output import Choice, Told
from server.errors import InvalidRequest

UNSATISFIED = (
    "No answer can be kept to this form: it is too large, nothing satisfies it, or another field of the request, such "
    "as bad_words or allowed_token_ids, forbids what does."
)


class Whole:
    """The answer of `source`, whose end is held back until the whole is known to have its form.

    What a stop sequence of the client's ends is as the client asked, and what `max_tokens` ends says so itself.
    tokenizer: vLLM's, of the model.
    """

    def __init__(self, source: Choice, job: Sampling, tokenizer: Any) -> None:
        self._source = source
        self._job = job
        self._tokenizer = tokenizer
        self._text: list[str] = []

    @property
    def reasoning_tokens(self) -> int:
        return self._source.reasoning_tokens

    def feed(self, output: CompletionOutput) -> Iterable[Told]:
        for event in self._source.feed(output):
            if isinstance(event, TextDelta):
                self._text.append(event.text)
            elif isinstance(event, Finish) and event.reason == "stop" and not self._stopped(output):
                check(self._job, "".join(self._text).removesuffix(self._end(output)))
            yield event

    def _end(self, output: CompletionOutput) -> str:
        """The text of the token that ended the answer, where the client asked to see it: it is no part of the form."""
        if not self._job.include_stop_str_in_output or self._job.skip_special_tokens:
            return ""
        return str(self._tokenizer.decode(list(output.token_ids[-1:]), skip_special_tokens=False))

    def _stopped(self, output: CompletionOutput) -> bool:
        reason = output.stop_reason
        return isinstance(reason, str) or (reason is not None and reason in self._job.stop_token_ids)


def check(job: Sampling, text: str) -> None:
    """Raises InvalidRequest for a whole answer that has not the form that `job` asks for."""
    param = grammar.field_of(job)
    schema = grammar.schema_of(job)
    if schema is None:
        if job.constraint is not None and not text_form.keeps(job.constraint, text, param):
            raise InvalidRequest(UNSATISFIED, param=param)
        return
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequest(UNSATISFIED, param=param) from None
    held = schema_form.form_of(schema, param).check
    if held is None:
        return
    try:
        error = next(_validator()(held).iter_errors(answer), None)
    except RecursionError:
        raise InvalidRequest(
            "The answer is nested too deeply to be held against the JSON Schema.", param=param
        ) from None
    if error is not None:
        keywords = ", ".join(sorted(_keywords(error)))
        where = "".join(f"/{step}" for step in error.absolute_path)
        message = f"The answer breaks the JSON Schema ({keywords}){f' at {where[:200]}' if where else ''}."
        raise InvalidRequest(f"{message} No grammar can keep that; ask again, or leave it out.", param=param)


@cache
def _validator() -> Any:
    import jsonschema

    def unique(_: Any, wanted: bool, items: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
        # jsonschema's own compares each with each where items have no order.
        if wanted and isinstance(items, list) and len({_canonical(item) for item in items}) < len(items):
            yield jsonschema.ValidationError("has an item twice")

    return jsonschema.validators.extend(jsonschema.Draft202012Validator, {"uniqueItems": unique})  # type: ignore[no-untyped-call]


def _canonical(value: Any) -> str:
    """The same text for what JSON Schema calls equal; 1 and 1.0 are."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


def _keywords(error: Any) -> set[str]:
    found = {keyword for inner in error.context or () for keyword in _keywords(inner)}
    return found or {str(error.validator)}
