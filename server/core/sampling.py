"""How tokens are drawn: what all jobs have in common that a language model answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Constraint:
    """A form that an answer must have, other than a JSON Schema's.

    value: of `regex` the pattern, of `choice` the texts of which one is the answer, of `grammar` its EBNF or Lark text,
    of `structural_tag` its JSON.
    """

    kind: Literal["regex", "choice", "grammar", "structural_tag"]
    value: str | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """In the words of the OpenAI API, then in vLLM's; None means "as the model's config says".

    output_schema: a JSON Schema the answer must obey; `{"type": "object"}` for JSON mode; None for free text.
    constraint: another form that it must have; never beside a schema.
    form_field: the request's field that asks for either, which refusals name; None for `response_format`.
    top_logprobs: alternatives per token, 0–20; None for no log-probabilities at all.
    prompt_logprobs: the same for the prompt's tokens, which then come as the event `PromptTokens`.
    truncate_prompt_tokens: only so many of the prompt's last tokens are read; -1 for all that the context has
      room for.
    end_loops: whether a text that does nothing any more but repeat itself is ended, as if the model had ended it; one
      that must have a form is not.
    token_ids: whether the events tell the ids of their tokens, and `PromptTokens` comes first.
    adapter: the LoRA adapter of the model that answers, by its public name; None for the model as it is.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int = 1
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: Mapping[int, float] | None = None
    top_logprobs: int | None = None
    output_schema: Mapping[str, Any] | None = None
    adapter: str | None = None
    # vLLM's, which its users send through extra_body
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    min_tokens: int | None = None
    ignore_eos: bool = False
    constraint: Constraint | None = None
    form_field: str | None = None
    stop_token_ids: tuple[int, ...] = ()
    include_stop_str_in_output: bool = False
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True
    bad_words: tuple[str, ...] = ()
    allowed_token_ids: tuple[int, ...] | None = None
    prompt_logprobs: int | None = None
    truncate_prompt_tokens: int | None = None
    cache_salt: str | None = None
    token_ids: bool = False
    end_loops: bool = False
