"""Generated requests, nearly all of them wrong: strategies for hypothesis."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.conformance.target import data_file


@dataclass(frozen=True)
class BadRequest:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """As they go over the wire, where a byte is a character."""
        return [(name.encode(), value.encode("latin-1")) for name, value in self.headers.items()]

    @property
    def streams(self) -> bool:
        return b'"stream": true' in self.body


# ---------------------------------------------------------------- values

TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=12)
"""Half surrogate pairs, zeros and control characters among it."""
ODDITIES: tuple[Any, ...] = (
    *(0, -1, 1, 2, 1.5, -0.0, 1e308, -1e-320, 2**31, -(2**31) - 1, 2**63, -(2**63) - 1, 2**64, 10**30, 10**400),
    *(float("nan"), float("inf"), -float("inf")),
    *("", " ", "\0", "null", "auto", "none", "0", "1e3", "true", "a" * 5000, "../../etc/passwd", "${7*7}", "%s%n"),
    *(True, False, None, [], {}, [[]], [None], {"": None}, {"a": {"b": {"c": [{}]}}}, [0] * 300, {"type": "object"}),
)  # fmt: skip
ODD = st.integers(0, len(ODDITIES) - 1).map(ODDITIES.__getitem__)
"""Drawn by place, since hypothesis shows what is sampled, and these are long."""
VALUE = st.recursive(
    ODD | TEXT | st.integers(-300, 300) | st.floats(-3, 3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)

SAMPLING = (
    *("max_tokens", "max_completion_tokens", "temperature", "top_p", "n", "stop", "seed", "frequency_penalty"),
    *("presence_penalty", "logit_bias", "logprobs", "top_logprobs", "stream", "stream_options", "response_format"),
    *("quality", "top_k", "min_p", "repetition_penalty", "min_tokens", "ignore_eos", "structured_outputs"),
    *("guided_json", "guided_regex", "guided_choice", "guided_grammar", "stop_token_ids", "allowed_token_ids"),
    *("bad_words", "include_stop_str_in_output", "skip_special_tokens", "prompt_logprobs", "truncate_prompt_tokens"),
    *("cache_salt", "priority", "return_token_ids", "best_of", "echo", "suffix", "use_beam_search", "length_penalty"),
    *("add_special_tokens", "logits_processors", "kv_transfer_params", "vllm_xargs", "request_id"),
)
CHAT = (
    *("model", "messages", "tools", "tool_choice", "functions", "function_call", "parallel_tool_calls", "modalities"),
    *("audio", "reasoning_effort", "chat_template_kwargs", "chat_template", "documents", "continue_final_message"),
    *("add_generation_prompt", "metadata", "store", "user", "verbosity", "prediction", "service_tier"),
)


def changed(base: Mapping[str, Any], names: tuple[str, ...], most: int = 3) -> st.SearchStrategy[dict[str, Any]]:
    """The base with one field or a few that are odd."""
    odd = st.dictionaries(st.sampled_from(names), VALUE, min_size=1, max_size=most)
    return odd.map(lambda fields: {**base, **fields})


# ---------------------------------------------------------------- bodies of JSON

JSON = {"content-type": "application/json"}


def posted(path: str, bodies: st.SearchStrategy[Any]) -> st.SearchStrategy[BadRequest]:
    return bodies.map(lambda body: BadRequest("POST", path, JSON, json.dumps(body).encode()))


HELLO = [{"role": "user", "content": "Hello"}]
CHATTING = {"model": "everything", "messages": HELLO, "max_tokens": 3}
ROLE = st.sampled_from(["system", "developer", "user", "assistant", "tool", "function", "king", 5, None])
PART = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url", "input_audio", "file", "refusal", "video_url", "smell", 5])},
    optional={
        "text": VALUE,
        "image_url": VALUE | st.fixed_dictionaries({"url": VALUE | st.just("data:image/png;base64,AAAA")}),
        "input_audio": VALUE | st.fixed_dictionaries({"data": VALUE, "format": VALUE}),
        "file": VALUE,
        "refusal": VALUE,
    },
)
CALL = st.fixed_dictionaries(
    {},
    optional={
        "id": VALUE,
        "type": VALUE,
        "function": VALUE | st.fixed_dictionaries({"name": TEXT, "arguments": VALUE}),
    },
)
MESSAGE = st.fixed_dictionaries(
    {"role": ROLE},
    optional={
        "content": VALUE | st.lists(PART, max_size=3),
        "name": VALUE,
        "tool_call_id": VALUE,
        "tool_calls": VALUE | st.lists(CALL, max_size=2),
        "function_call": VALUE,
        "audio": VALUE,
        "reasoning_content": VALUE,
    },
)
SCHEMA = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(
                ["object", "array", "string", "integer", "number", "boolean", "null", "thing", 5, []]
            ),
            "enum": st.lists(ODD, max_size=3),
            "const": ODD,
            "pattern": st.sampled_from(["^a$", "([", "(a+)+$", "\\p{L}", "a{9999}", 5]),
            "format": TEXT,
            "minLength": ODD,
            "maxLength": ODD,
            "minimum": ODD,
            "maximum": ODD,
            "$ref": st.sampled_from(["#", "#/$defs/a", "#/$defs/none", "https://example.com/a", "", 5]),
            "required": VALUE,
            "uniqueItems": VALUE,
            "$schema": TEXT,
        },
    )
    | st.booleans()
    | VALUE,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array"]),
            "properties": st.dictionaries(TEXT, inner, max_size=3) | VALUE,
            "items": inner,
            "prefixItems": st.lists(inner, max_size=2),
            "anyOf": st.lists(inner, max_size=2),
            "allOf": st.lists(inner, max_size=2),
            "oneOf": st.lists(inner, max_size=2),
            "not": inner,
            "if": inner,
            "additionalProperties": inner,
            "patternProperties": st.dictionaries(TEXT, inner, max_size=2),
            "$defs": st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
            "required": st.lists(TEXT, max_size=2),
        },
    ),
    max_leaves=8,
)


def _formed(schema: Any, way: int) -> dict[str, Any]:
    function = {"name": "f", "parameters": schema}
    ways: tuple[dict[str, Any], ...] = (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}},
        {"response_format": {"type": "json_object", "schema": schema}},
        {"tools": [{"type": "function", "function": function}], "tool_choice": "required"},
        {"functions": [function], "function_call": {"name": "f"}},
        {"guided_json": schema},
        {"structured_outputs": {"json": schema}},
    )
    return CHATTING | ways[way]


SPEAKING = {"model": "everything", "input": "Hi.", "voice": "alloy"}
DRAWING = {"model": "everything", "prompt": "a", "size": "64x64"}
EMBEDDING = {"model": "everything", "input": "a"}
COMPLETING = {"model": "everything", "prompt": "a", "max_tokens": 2}
STREAMING = {"stream": True, "stream_options": {"include_usage": True}}

sampling = posted("/v1/chat/completions", changed(CHATTING, SAMPLING) | changed(CHATTING, CHAT))
messages = posted(
    "/v1/chat/completions", st.lists(MESSAGE, max_size=3).map(lambda listed: {**CHATTING, "messages": listed})
)
schemas = posted("/v1/chat/completions", st.builds(_formed, SCHEMA, st.integers(0, 5)))
streams = (
    posted("/v1/chat/completions", changed(CHATTING | STREAMING, SAMPLING + CHAT))
    | posted("/v1/completions", changed(COMPLETING | STREAMING, (*SAMPLING, "prompt", "model")))
    | posted("/v1/images/generations", changed(DRAWING | {"stream": True}, ("partial_images", "n", "size", "quality")))
    | posted("/v1/audio/speech", changed(SPEAKING | {"stream_format": "sse"}, ("input", "voice", "speed", "model")))
)
others = (
    posted("/v1/audio/speech", changed(SPEAKING, ("model", "input", "voice", "response_format", "speed", "quality")))
    | posted(
        "/v1/images/generations",
        changed(DRAWING, ("model", "prompt", "n", "size", "quality", "output_format", "output_compression", "seed",
                          "steps", "guidance", "response_format", "stream", "partial_images", "background", "style")),
    )
    | posted("/v1/embeddings", changed(EMBEDDING, ("model", "input", "dimensions", "encoding_format", "user")))
    | posted("/v1/rerank", changed({**EMBEDDING, "query": "a", "documents": ["a"]}, ("query", "documents", "top_n")))
    | posted("/v1/completions", changed(COMPLETING, (*SAMPLING, "prompt")))
    | posted("/v1/tokenize", changed({"model": "everything", "prompt": "a"}, ("prompt", "messages", "tools", "model")))
    | posted("/v1/detokenize", changed({"model": "everything", "tokens": [1]}, ("tokens", "model")))
)  # fmt: skip


# ---------------------------------------------------------------- bytes


@st.composite
def broken(draw: st.DrawFn) -> BadRequest:
    """A right body whose bytes or headers are not."""
    body = json.dumps(draw(st.sampled_from([CHATTING, CHATTING | STREAMING, SPEAKING]))).encode()
    path = "/v1/audio/speech" if b"voice" in body else "/v1/chat/completions"
    place = draw(st.integers(0, len(body)))
    match draw(st.integers(0, 4)):
        case 0:
            body = body[:place]
        case 1:
            body = body[:place] + draw(st.binary(min_size=1, max_size=4)) + body[place:]
        case 2:
            body = body[:place] + draw(st.binary(min_size=1, max_size=4)) + body[place + 1 :]
        case 3:
            body = draw(st.binary(max_size=40))
        case _:
            body = body + body
    kinds = ["application/json", "application/json; charset=utf-16", "text/plain", "", "a/b/c", "multipart/form-data"]
    headers = {"content-type": draw(st.sampled_from(kinds))}
    headers |= draw(
        st.dictionaries(
            st.sampled_from(["content-encoding", "x-quality", "accept", "x-request-id", "expect", "range"]),
            st.sampled_from(["", "gzip", "deflate", "br", "identity", "ultra", "nonsense", "*/*;q=x", "bytes=0-"]),
            max_size=1,
        )
    )
    return BadRequest("POST", path, headers, body)


FORM_NAMES = (
    *(
        "model",
        "file",
        "language",
        "prompt",
        "response_format",
        "temperature",
        "timestamp_granularities[]",
        "include[]",
    ),
    *("stream", "image", "image[]", "mask", "n", "size", "quality", "output_format", "chunking_strategy", "a", ""),
)
FORM_VALUES = (
    *(b"everything", b"", b"5", b"-1", b"nan", b"word", b"verbose_json", b"json", b"true", b"logprobs", b"\xff\xfe"),
    *(b"auto", b"64x64", b"\r\n--b--\r\n", b"x" * 3000),
)
FILES = (b"", b"no sound", bytes(500), b"RIFF$\0\0\0WAVEfmt ", b"\x89PNG\r\n\x1a\n", b"ID3\x04", b"OggS\0", b"GIF89a")


@st.composite
def forms(draw: st.DrawFn) -> BadRequest:
    """A multipart form for transcription, translation, edits or variations, with wrong or broken parts."""
    url = draw(st.sampled_from(["audio/transcriptions", "audio/translations", "images/edits", "images/variations"]))
    base: list[tuple[str, str | None, bytes]] = [("model", None, b"everything"), ("prompt", None, b"a")]
    base.append(("file" if "audio" in url else "image", "a.mp3", draw(st.sampled_from((data_file("fox.mp3"), *FILES)))))
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from(FORM_NAMES) | TEXT)
        base.append((name, draw(st.sampled_from([None, "a.wav", ""])), draw(st.sampled_from(FORM_VALUES + FILES))))
    mangled = draw(st.booleans())
    if mangled and draw(st.booleans()):
        base.pop(draw(st.integers(0, len(base) - 1)))
    body = b""
    for name, file, value in base:
        shown = name.encode("utf-8", "surrogatepass").replace(b"\r", b"").replace(b"\n", b"")
        disposition = draw(st.sampled_from([b"form-data;", b"attachment; ", b""])) if mangled else b"form-data; "
        body += b'--b\r\nContent-Disposition: %bname="%b"' % (disposition, shown)
        body += b"" if file is None else b'; filename="%b"\r\nContent-Type: audio/mpeg' % file.encode()
        body += b"\r\n\r\n" + value + (draw(st.sampled_from([b"\r\n", b"\n", b""])) if mangled else b"\r\n")
    body += draw(st.sampled_from([b"--b--\r\n", b"", b"--b", b"--c--\r\n"])) if mangled else b"--b--\r\n"
    body = body[: draw(st.integers(0, len(body)))] if mangled and draw(st.booleans()) else body
    kinds = ["multipart/form-data; boundary=b"] * 4 + ["multipart/form-data"]
    kinds += ["multipart/form-data; boundary=" + "b" * 300, "multipart/mixed; boundary=b", "application/json"]
    return BadRequest("POST", f"/v1/{url}", {"content-type": draw(st.sampled_from(kinds))}, body)


STEPS = st.sampled_from([
    *("v1", "models", "chat", "completions", "audio", "speech", "images", "files", "..", "%2e%2e", "%00", "%ff", "a b"),
    *("everything", "everything:ultra", "everything:nonsense", "generations", "voices", "credits", "usage", "ü", "'"),
])  # fmt: skip


@st.composite
def urls(draw: st.DrawFn) -> BadRequest:
    """Any method, any path below /v1."""
    method = draw(st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW"]))
    path = "/v1/" + "/".join(draw(st.lists(STEPS, max_size=4)))
    query = draw(
        st.sampled_from(["", "?", "?limit=x", "?limit=-1&after=%00", "?days=99999999999", "?model=" + "x" * 999])
    )
    return BadRequest(method, path + query, JSON, draw(st.sampled_from([b"", b"{}", b"[]", b"null"])))


KINDS: Mapping[str, st.SearchStrategy[BadRequest]] = {
    "sampling": sampling,
    "messages": messages,
    "schemas": schemas,
    "streams": streams,
    "others": others,
    "bytes": broken(),
    "forms": forms(),
    "urls": urls(),
}
