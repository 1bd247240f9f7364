"""Bodies of chats, completions and tokenizing whose fields are each nearly right: their combinations are what is new.

`bad_requests` draws values that few fields take, so most of its bodies are refused for the first wrong one.
"""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from tests.conformance.bad_requests import SCHEMA

BOOL = st.booleans()
IDS = st.sampled_from([0, 1, 2, 5, 198, 300, 49151, 49152, 2**31 - 1, -1])
WORDS = st.sampled_from(
    [
        "a",
        " ",
        "",
        "Tokyo",
        "<|im_end|>",
        "<|im_start|>",
        "\n",
        "\ud800",
        "é",
        "😀",
        "\0",
        "```",
        "x" * 300,
        "{%",
        "</s>",
    ]
)
FORM = st.sampled_from(
    [
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        {"type": "string", "maxLength": 3},
        {"enum": ["a", 1, None]},
        {"type": "array", "items": {"type": "integer"}, "uniqueItems": True, "maxItems": 3},
        {"$ref": "#"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"type": "string", "pattern": "^(a|b)+$"},
        {"not": {}},
        {},
        {"const": "\u2028"},
    ]
)
JSON_TEXT = st.one_of(
    SCHEMA.map(json.dumps),
    st.sampled_from(
        [
            '"\\ud800"',
            '{"const": "\\ud800"}',
            '{"enum": ["\\udfff"]}',
            '{"properties": {"\\ud800": {}}}',
            "{",
            "[]",
            "NaN",
        ]
    ),
    st.integers(1, 1000).map(lambda depth: '{"items":' * depth + "{}" + "}" * depth),
    st.integers(1, 2000).map(lambda depth: "[" * depth + "]" * depth),
)
SCHEMAS = FORM | SCHEMA
PATTERN = st.sampled_from(
    ["a+", "[a-c]{2,5}", "(", "(a{99}){99}", "\\p{L}+", "(?=a)", "^$", "\\bx", "a|", "[^\\0]", ""]
)
GRAMMAR = st.sampled_from(
    ['root ::= "a" | "b"', 'start: "a"+', "root ::= root", "start: start", "root ::= ", "%json {}", "start: /a(/", ""]
)
TAG = {"structures": [{"begin": "<a>", "schema": {"type": "integer"}, "end": "</a>"}], "triggers": ["<a"]}
FORMS: Mapping[str, st.SearchStrategy[Any]] = {
    "response_format": st.one_of(
        SCHEMAS.map(lambda schema: {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}),
        SCHEMAS.map(lambda schema: {"type": "json_object", "schema": schema}),
        st.sampled_from(
            [{"type": "text"}, {"type": "json_object"}, {"type": "json_schema"}, {"type": "structural_tag"}]
        ),
        st.just({"type": "structural_tag", **TAG}),
    ),
    "structured_outputs": st.one_of(
        st.fixed_dictionaries(
            {},
            optional={
                "json": SCHEMAS | JSON_TEXT,
                "regex": PATTERN,
                "choice": st.lists(WORDS, max_size=3),
                "grammar": GRAMMAR,
                "json_object": BOOL,
                "structural_tag": st.just(TAG) | JSON_TEXT | SCHEMAS,
            },
        )
    ),
    "guided_json": SCHEMAS | JSON_TEXT,
    "guided_regex": PATTERN,
    "guided_choice": st.lists(WORDS, max_size=4),
    "guided_grammar": GRAMMAR,
    "structural_tag": st.just(TAG) | JSON_TEXT,
}
DRAWN: Mapping[str, st.SearchStrategy[Any]] = {
    "max_tokens": st.sampled_from([0, 1, 2, 7, 1000, 10**6, 2**31, 2**63, 10**30]),
    "temperature": st.sampled_from([0, 0.0, -0.0, 1e-320, 1e-9, 0.005, 0.5, 1, 2, 2.0000001]),
    "top_p": st.sampled_from([0, 1e-320, 1e-9, 0.5, 1]),
    "n": st.sampled_from([1, 2, 3, 128]),
    "best_of": st.sampled_from([1, 2, 3, 20]),
    "stop": WORDS | st.lists(WORDS, max_size=4),
    "seed": st.sampled_from([0, -1, 1, 2**63 - 1, -(2**63), 2**31]),
    "frequency_penalty": st.sampled_from([-2, 0, 1e-320, 2]),
    "presence_penalty": st.sampled_from([-2, 0, 2]),
    "logit_bias": st.dictionaries(IDS.map(str), st.sampled_from([-100, 0, 100, 1e-320]), max_size=3),
    "top_k": st.sampled_from([-1, 0, 1, 50, 49152, 2**31, 2**63, 10**30]),
    "min_p": st.sampled_from([0, 1e-320, 0.5, 1]),
    "repetition_penalty": st.sampled_from([1e-320, 1e-9, 0.5, 1, 2]),
    "min_tokens": st.sampled_from([0, 1, 2, 7, 2000, 2**31, 10**30]),
    "ignore_eos": BOOL,
    "stop_token_ids": st.lists(IDS, max_size=3),
    "include_stop_str_in_output": BOOL,
    "skip_special_tokens": BOOL,
    "spaces_between_special_tokens": BOOL,
    "bad_words": st.lists(WORDS, max_size=3),
    "allowed_token_ids": st.lists(IDS, max_size=3),
    "prompt_logprobs": st.sampled_from([0, 1, 5, 20, 21, -1]),
    "cache_salt": WORDS,
    "return_token_ids": BOOL,
    "truncate_prompt_tokens": st.sampled_from([-1, 0, 1, 5, 10**5, 2**31 - 1, 10**30]),
    "stream": BOOL,
    "priority": st.sampled_from([0, 1, -1, 2**63]),
    "stream_options": st.fixed_dictionaries({}, optional={"include_usage": BOOL, "continuous_usage_stats": BOOL}),
}
PARTS = st.one_of(
    WORDS,
    st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": WORDS}), max_size=2),
    st.just([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]),
)
ARGUMENTS = WORDS | JSON_TEXT | st.sampled_from(["{}", '{"city": "Paris"}', "null", "1e400", '{"a": NaN}'])
CALL = st.builds(
    lambda name, text: {"id": "call_1", "type": "function", "function": {"name": name, "arguments": text}},
    st.sampled_from(["f", "g"]),
    ARGUMENTS,
)
MESSAGE = st.one_of(
    st.builds(
        lambda role, said: {"role": role, "content": said},
        st.sampled_from(["user", "user", "assistant", "system", "developer"]),
        PARTS,
    ),
    st.lists(CALL, min_size=1, max_size=2).map(lambda calls: {"role": "assistant", "tool_calls": calls}),
    PARTS.map(lambda said: {"role": "tool", "tool_call_id": "call_1", "content": said}),
)
MESSAGES = st.lists(MESSAGE, min_size=1, max_size=4)
FUNCTION = st.fixed_dictionaries(
    {"name": st.sampled_from(["f", "g"])}, optional={"parameters": SCHEMAS, "description": WORDS, "strict": BOOL}
)
TOOLS = st.lists(FUNCTION.map(lambda function: {"type": "function", "function": function}), min_size=1, max_size=2)
KWARGS = st.dictionaries(
    st.sampled_from(
        [
            "enable_thinking",
            "tools",
            "messages",
            "eos_token",
            "a b",
            "date_string",
            "add_generation_prompt",
            "tokenize",
            "range",
            "self",
            "documents",
            "",
            "\0",
            "__class__",
        ]
    ),
    WORDS | BOOL | st.none() | st.just({"a": [1]}),
    max_size=2,
)
CHATS: Mapping[str, st.SearchStrategy[Any]] = {
    **DRAWN,
    **FORMS,
    "max_completion_tokens": st.sampled_from([1, 2, 7, 10**6]),
    "logprobs": BOOL,
    "top_logprobs": st.sampled_from([0, 1, 20, 21]),
    "tools": TOOLS,
    "tool_choice": st.sampled_from(
        [
            "none",
            "auto",
            "required",
            "f",
            {"type": "function", "function": {"name": "f"}},
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
        ]
    ),
    "parallel_tool_calls": BOOL,
    "functions": st.lists(FUNCTION, min_size=1, max_size=2),
    "function_call": st.sampled_from(["none", "auto", "f", {"name": "f"}, {"name": "x"}]),
    "reasoning_effort": st.sampled_from(["none", "low", "max"]),
    "continue_final_message": BOOL,
    "add_generation_prompt": BOOL,
    "documents": st.lists(st.dictionaries(WORDS, WORDS, max_size=2), max_size=2),
    "chat_template_kwargs": KWARGS,
    "quality": st.sampled_from(["low", "medium", "high", "ultra", "auto", "hd"]),
}
COMPLETIONS: Mapping[str, st.SearchStrategy[Any]] = {
    **DRAWN,
    **FORMS,
    "logprobs": st.sampled_from([0, 1, 5, 6]),
    "echo": BOOL,
    "suffix": WORDS,
    "add_special_tokens": BOOL,
    "quality": st.sampled_from(["low", "high", "ultra"]),
}
PROMPTS = st.one_of(
    WORDS, st.lists(WORDS, max_size=3), st.lists(IDS, max_size=4), st.lists(st.lists(IDS, max_size=3), max_size=3)
)


def _with(base: Mapping[str, Any], fields: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the fields, few at most times."""
    names = st.lists(st.sampled_from(sorted(fields)), max_size=6, unique=True)
    drawn = names.flatmap(lambda chosen: st.fixed_dictionaries({name: fields[name] for name in chosen}))
    return drawn.map(lambda found: {**base, **found})


MODEL = {"model": "everything"}
chat_bodies = st.builds(
    lambda body, messages: {**body, "messages": messages},
    _with(MODEL, CHATS),
    st.just([{"role": "user", "content": "Hello"}]) | MESSAGES,
)
completion_bodies = st.builds(
    lambda body, prompt: {**body, "prompt": prompt}, _with(MODEL, COMPLETIONS), st.just("Hello") | PROMPTS
)
tokenize_bodies = st.one_of(
    st.builds(lambda prompt, special: {**MODEL, "prompt": prompt, "add_special_tokens": special}, WORDS, BOOL),
    st.builds(
        lambda body, messages: {**body, "messages": messages},
        _with(
            MODEL,
            {
                name: CHATS[name]
                for name in ("tools", "continue_final_message", "add_generation_prompt", "chat_template_kwargs")
            }
            | {"return_token_strs": BOOL},
        ),
        MESSAGES,
    ),
)
