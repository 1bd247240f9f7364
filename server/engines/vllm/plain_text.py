"""Text is text: what a client writes is never read as a control token, whatever it looks like.

vLLM renders a chat to one string and looks for control tokens in all of it. So, where a client's text holds such a
string, or the beginning or end of one, marks are set in the text (marks.py). The template passes them on; before the
prompt is tokenized they are taken out again, and the prompt is cut within each control string that a client wrote.
A prompt without such strings is rendered and tokenized as vLLM does it, by the same calls.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from server.engines.vllm import control_strings, marks, releases
from server.engines.vllm.marks import Marks
from server.engines.vllm.template import Look
from server.errors import InvalidRequest

ANCHOR = "\x01"
"""Written before each piece but the first, and taken off again: some tokenizers begin every text with a space."""

_MARKED: ContextVar["Marked | None"] = ContextVar("marked chat", default=None)
_KEPT = "_sagehold_plain_text"
"""The attribute by which a renderer keeps its own."""


class Marked:
    """A chat with marks. tokens: how often each control token is in its prompt; text: those that are text somewhere."""

    def __init__(self, marks: Marks) -> None:
        self.marks = marks
        self.tokens: Counter[int] = Counter()
        self.text: frozenset[int] = frozenset()


class PlainText:
    """What one of vLLM's renderers needs for it. Its tokenizing is replaced for chats that are marked."""

    def __init__(self, renderer: Any) -> None:
        self._renderer = renderer
        self.control = control_strings.of(renderer.get_tokenizer())
        plain = getattr(renderer, "_tokenize_prompt_async", None)
        if plain is None:
            return  # of a release that tokenizes elsewhere: the marks stay in the prompt, and keep the strings apart

        async def tokenize(prompt: Any, params: Any) -> Any:
            marked = _MARKED.get()
            if marked is None:
                return await plain(prompt, params)
            work = partial(self._tokenize, marked, prompt, params)
            return await asyncio.get_running_loop().run_in_executor(renderer._executor, work)

        renderer._tokenize_prompt_async = tokenize

    def mark(self, body: dict[str, Any], look: Look) -> tuple[dict[str, Any], Marked | None]:
        """A chat request's body, in vLLM's words, with marks where it needs any. Raises InvalidRequest.

        look: of the template that will write it.
        """
        if look.reasoning and look.seeks.issuperset(marks.REASONING):
            body = {**body, "messages": marks.reasoning_apart(body["messages"])}
        chosen = marks.choose(self.control, body, look)
        return (body, None) if chosen is None else (marks.through(body, chosen.mark), Marked(chosen))

    def check(self, marked: Marked, engine_input: Mapping[str, Any]) -> None:
        """Raises InvalidRequest where pictures brought control tokens back.

        Where vLLM can't find a picture's place among the tokens, it writes them as text and reads that again
        (vllm/multimodal/processing/processor.py, _apply_prompt_updates_via_text).
        """
        places = engine_input.get("mm_placeholders")
        if not places or not marked.text:
            return
        tokens = engine_input["prompt_token_ids"]
        pictures = {
            place
            for ranges in places.values()
            for one in ranges
            for place in range(one.offset, one.offset + one.length)
        }
        now = Counter(token for place, token in enumerate(tokens) if place not in pictures and token in marked.text)
        if any(now[token] > marked.tokens[token] for token in marked.text):
            raise InvalidRequest(
                "This model can't keep apart text that looks like its control tokens and pictures.", param="messages"
            )

    def _tokenize(self, marked: Marked, prompt: Mapping[str, Any], params: Any) -> Any:
        text, cuts = marked.marks.read(prompt["prompt"])
        whole = {**prompt, "prompt": text}
        if not cuts:
            return self._renderer._tokenize_prompt(whole, params)
        tokenizer = self._renderer.get_tokenizer()
        pieces = [text[start:end] for start, end in itertools.pairwise([0, *cuts, len(text)])]
        tokens = pieces_to_tokens(tokenizer, pieces)
        if prompt.get("multi_modal_data"):
            strings = {text[start:end] for start, end in self.control.places(text)}
            ids = {string: tokenizer.convert_tokens_to_ids(string) for string in strings}
            marked.text = frozenset(token for token in ids.values() if token is not None)
            marked.tokens = Counter(token for token in tokens if token in marked.text)
        # vLLM truncates what was tokenized once more; here nothing was truncated before.
        return {**whole, "prompt_token_ids": tokens}


def pieces_to_tokens(tokenizer: Any, pieces: Sequence[str]) -> list[int]:
    """The tokens of texts that follow each other, each read by itself. tokenizer: one of transformers."""
    encode = partial(tokenizer, add_special_tokens=False, truncation=False)
    first, *others = pieces
    anchor = encode(ANCHOR)["input_ids"]
    tokens = list(encode(first)["input_ids"])
    for piece, read in zip(others, encode([ANCHOR + piece for piece in others])["input_ids"], strict=True):
        if anchor and read[: len(anchor)] == anchor:
            tokens += read[len(anchor) :]
        else:
            tokens += encode(piece)["input_ids"]
    return tokens


def of(renderer: Any) -> PlainText | None:
    """For a renderer of vLLM (OnlineRenderer); None where its prompts are safe as they are.

    Mistral's own tokenizers and OpenAI's harmony encode each text by itself, without control tokens
    (mistral_common/tokens/tokenizers/tekken.py and sentencepiece.py, encode; openai/harmony src/encoding.rs,
    render_text_into).
    """
    base = renderer.renderer
    if not hasattr(base, _KEPT):
        tokenizer = base.tokenizer
        safe = renderer.use_harmony or tokenizer is None or releases.mistral(tokenizer)
        setattr(base, _KEPT, None if safe else PlainText(base))
    kept: PlainText | None = getattr(base, _KEPT)
    return kept


@contextmanager
def tokenizing(marked: Marked | None) -> Iterator[None]:
    """Within it, the prompt of this task is tokenized by its marks."""
    if marked is None:
        yield
        return
    before = _MARKED.set(marked)
    try:
        yield
    finally:
        _MARKED.reset(before)
