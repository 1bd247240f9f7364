"""A chat job in vLLM's own words: its request model, rendered prompt, and sampling parameters."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.renderers.online_renderer import OnlineRenderer
from vllm.sampling_params import SamplingParams

from server.core import ChatJob, Tool
from server.engines.vllm import apart, arguments, grammar, plain_text, refusals, releases, sampling, template
from server.errors import ContextLengthExceeded, InvalidRequest, Overloaded

HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""How JSON escapes half of a surrogate pair."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A job that is ready for the engine. tokens: length of the rendered prompt."""

    request: ChatCompletionRequest
    input: Any
    sampling: SamplingParams
    tokens: int
    template_kwargs: Mapping[str, Any]


async def render(job: ChatJob, renderer: OnlineRenderer, defaults: dict[str, Any], *, pictures: bool = False) -> Prompt:
    """Template and tokenize. Raises InvalidRequest, ContextLengthExceeded.

    defaults: the model's own sampling parameters, by `sampling.model_defaults`. pictures: whether it sees them.
    """
    if not pictures:
        _refuse_pictures(job)
    _refuse_hopeless(job, renderer)
    heavy = apart.heavy(job)
    if heavy or grammar.binds(job):
        body = await apart.apart(partial(_request_body, job, renderer))
    else:
        body = _request_body(job, renderer)
    arguments.check(job, renderer, body.get("tools"))
    request, engine_input = await _rendered(body, renderer, heavy=heavy)

    tokens = len(engine_input.get("prompt_token_ids") or ())
    room = renderer.model_config.max_model_len - tokens
    if room < 1:
        raise ContextLengthExceeded(
            f"This model's maximum context length is {renderer.model_config.max_model_len} tokens. "
            f"However, your messages resulted in {tokens} tokens. Please reduce the length of the messages.",
            param="messages",
        )
    most = room if job.max_tokens is None else min(job.max_tokens, room)
    parameters = sampling.parameters(request, job, most, defaults)
    if grammar.forced_schema(job) is not None:
        parameters.skip_special_tokens = True  # the token that ends a call is no part of its arguments
    return Prompt(request, engine_input, parameters, tokens, releases.template_kwargs(renderer, request))


async def _rendered(
    body: dict[str, Any], renderer: OnlineRenderer, *, heavy: bool
) -> tuple[ChatCompletionRequest, Any]:
    """The request as the client meant it, and the engine's input. Raises InvalidRequest, ContextLengthExceeded.

    heavy: whether its texts are looked through apart.
    """
    plain = plain_text.of(renderer)
    if releases.mistral(renderer.renderer.tokenizer):
        # mistral-common refuses fields of messages that it does not know.
        body["messages"] = [{k: v for k, v in message.items() if k != "reasoning"} for message in body["messages"]]
    try:
        marked, kept = body, None
        if plain is not None:
            mark = partial(plain.mark, body, _look(renderer, body.get("tools")))
            marked, kept = await apart.apart(mark) if heavy else mark()
        request = _request(marked)
        with plain_text.tokenizing(kept):
            engine_input = await _input(request, renderer)
    except RecursionError:
        # Arguments of earlier calls are JSON within JSON: no other reader has seen how deep they go.
        raise InvalidRequest("The messages hold JSON that is nested too deeply.", param="messages") from None
    if plain is not None and kept is not None:
        plain.check(kept, engine_input)
        # The marks were for the template alone; the answer's parsers look at the functions.
        said = _request(body)
        for field in ("messages", "tools", "documents", "chat_template_kwargs"):
            setattr(request, field, getattr(said, field))
    return request, engine_input


def _request(body: dict[str, Any]) -> ChatCompletionRequest:
    try:
        return ChatCompletionRequest.model_validate(body)
    except releases.CLIENT_ERRORS as error:
        raise refusals.of_request(error) from None


async def _input(request: ChatCompletionRequest, renderer: OnlineRenderer) -> Any:
    """Only vLLM's code runs here, and what it raises of any other kind is a bug.

    Raises InvalidRequest, ContextLengthExceeded, RecursionError; Overloaded where the prompt was not written in time.
    """
    try:
        rendered = await renderer.render_chat(request)
    except releases.CLIENT_ERRORS as error:
        # Whatever a chat template raises over messages that it can't place (roles out of order, say) is among these.
        if not request.continue_final_message:
            raise refusals.of_request(error) from None
        # transformers' words for a message that can't be continued hold the whole prompt, marks included.
        request.continue_final_message = False
        await _input(request, renderer)  # raises what else is wrong
        raise InvalidRequest(
            "The model's chat template changes the last message, so it can't be continued.",
            param="continue_final_message",
        ) from None
    except ValueError as error:
        # vLLM's own server takes these for bad requests: no template at all (ChatTemplateResolutionError), a picture
        # that can't be read (vllm/multimodal/media), what Mistral's templates raise; before 0.32, all templates.
        said = refusals.words(error)
        message = f"The model's chat template refuses these messages{f': {said}' if said else '.'}"
        raise InvalidRequest(message, param="messages") from None
    except TimeoutError:
        # After VLLM_CHAT_TEMPLATE_RENDER_TIMEOUT, the wait for other prompts included (vllm/renderers/hf.py,
        # _render_with_timeout); whose fault it is can't be seen here.
        raise Overloaded("The prompt could not be written in time. Please try again shortly.") from None
    if isinstance(rendered, releases.ErrorResponse):
        raise InvalidRequest(rendered.error.message, param=rendered.error.param)
    _, (engine_input,) = rendered
    return engine_input


def _look(renderer: OnlineRenderer, tools: list[dict[str, Any]] | None) -> template.Look:
    text = None if template.written_in_code(renderer) else template.of(renderer, tools)
    return template.Look() if text is None else template.look(text)


def _refuse_hopeless(job: ChatJob, renderer: OnlineRenderer) -> None:
    """Raises ContextLengthExceeded for texts that can't fit however they are tokenized, before anybody reads them."""
    longest = getattr(renderer.renderer.tokenizer, "max_chars_per_token", None)
    if not longest or job.truncate_prompt_tokens is not None:
        return
    context = int(renderer.model_config.max_model_len)
    contents = (message.get("content") for message in job.messages)
    length = sum(len(content) for content in contents if isinstance(content, str))
    if length > context * longest:
        raise ContextLengthExceeded(
            f"This model's maximum context length is {context} tokens. However, your messages have {length} "
            "characters, which are more tokens than that. Please reduce the length of the messages.",
            param="messages",
        )


def _refuse_pictures(job: ChatJob) -> None:
    """Raises InvalidRequest that names the first picture, for a model that sees none."""
    for number, message in enumerate(job.messages):
        content = message.get("content")
        for place, part in enumerate(content if isinstance(content, list | tuple) else ()):
            if isinstance(part, Mapping) and part.get("type") == "image_url":
                raise InvalidRequest(
                    "This model does not see pictures.", param=f"messages[{number}].content[{place}].image_url"
                )


def _request_body(job: ChatJob, renderer: OnlineRenderer) -> dict[str, Any]:
    body: dict[str, Any] = {
        **sampling.fields(job),
        **grammar.fields(job),
        "messages": [_message(message) for message in job.messages],
        "reasoning_effort": job.reasoning_effort,
        "continue_final_message": job.continue_final_message,
        "add_generation_prompt": job.add_generation_prompt and not job.continue_final_message,
        "documents": [dict(document) for document in job.documents] or None,
        "truncate_prompt_tokens": _kept_tokens(job, renderer),
        "chat_template_kwargs": dict(job.chat_template_kwargs) if job.chat_template_kwargs else None,
    }
    if job.top_logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": job.top_logprobs}
    if job.tools and job.tool_choice != "none":
        # A forced call needs no parser: the functions go into the prompt, and the grammar does the rest.
        body |= {"tools": [_tool(tool) for tool in job.tools], "tool_choice": "none"}
        if job.tool_choice == "auto":
            if renderer.parser is None or renderer.parser.tool_parser_cls is None:
                raise InvalidRequest(
                    "This model can't choose functions by itself; force a call with tool_choice "
                    "`required` or a function's name.",
                    param="tool_choice",
                    code="unsupported_value",
                )
            # `parallel_tool_calls` is kept by output.Parsed: vLLM would make a grammar of it that only its other
            # backend reads, and refuse the request.
            body["tool_choice"] = "auto"
    return body


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    calls = message.get("tool_calls")
    if not calls:
        return dict(message)
    return {**message, "tool_calls": [{**call, "function": _whole_characters(call["function"])} for call in calls]}


def _whole_characters(function: Mapping[str, Any]) -> Mapping[str, Any]:
    """An earlier call without halves of characters.

    JSON can name a half (`"\\ud83d"`), and models that are cut off do; no tokenizer takes one. Unicode's own sign for
    what can't be read stands in its place. What is no JSON is left to vLLM, which then takes no arguments.
    """
    arguments = function["arguments"]
    if not HALF.search(arguments):
        return function
    try:
        text = json.dumps(json.loads(arguments), ensure_ascii=False)
    except (ValueError, RecursionError):
        return function
    return {**function, "arguments": text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")}


def _kept_tokens(job: ChatJob, renderer: OnlineRenderer) -> int | None:
    """-1 leaves the room that the answer asks for, which vLLM's request is not given here."""
    if job.truncate_prompt_tokens != -1:
        return job.truncate_prompt_tokens
    return max(1, int(renderer.model_config.max_model_len) - (job.max_tokens or 1))


def _tool(tool: Tool) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters or grammar.NO_ARGUMENTS,
    }
    return {"type": "function", "function": {k: v for k, v in function.items() if v is not None}}
