"""Where a text holds what a tokenizer reads as control tokens, and how marks keep it apart. No vLLM, no models."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from server.engines.vllm import control_strings, marks, plain_text
from server.engines.vllm.control_strings import ControlStrings
from server.engines.vllm.marks import Marks
from server.engines.vllm.template import Look
from server.errors import InvalidRequest

CONTROL = ControlStrings(["<|end|>", "<|end|>>", "<tool>", "</tool>", "[INST]", "~"])
MARKS = Marks(CONTROL, Look(), "B", "G")


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", []),
        ("a < b | end > ~", []),
        ("<|end|>", [(0, 7)]),
        ("x<|end|>>", [(1, 9)]),
        ("<<tool></tool>", [(1, 7), (7, 14)]),
        ("[INST][/INST]", [(0, 6)]),
    ],
)
def test_places(text: str, places: list[tuple[int, int]]) -> None:
    assert CONTROL.places(text) == places
    assert CONTROL.found(text) == bool(places)


def test_strings_that_overlap_are_all_found() -> None:
    assert ControlStrings(["abab", "ba"]).places("ababab") == [(0, 4), (1, 3), (2, 6), (3, 5)]


def test_many_strings_are_told_apart() -> None:
    """As many as some vocabularies reserve; their pattern is a tree, not a list."""
    control = ControlStrings(f"<unused{number}>" for number in range(7000))
    assert control.places("<unused7> <unused6999> <unused7000> <unused>") == [(0, 9), (10, 22)]


@pytest.mark.parametrize(
    ("text", "edges"),
    [
        ("hello", ()),
        ("a <|", (4,)),
        (" a [ ", (4,)),
        ("> quoted", (0,)),
        (" nd|> <", (1, 7)),
        ("tool", (0, 4)),
        ("   ", ()),
    ],
)
def test_edges(text: str, edges: tuple[int, ...]) -> None:
    assert CONTROL.edges(text) == edges


@pytest.mark.parametrize(
    ("written", "text", "cuts"),
    [
        ("<|end|>hello", "<|end|>hello", []),  # the template's own
        ("<|end|><B|end|><|end|>", "<|end|><|end|><|end|>", [8]),
        ("aB<|end|>", "a<|end|>", []),  # an edge of a text, with the template's own string after it
        ("<toB>B ol>", "<to> ol>", []),
        ("<toBolB>", "<tool>", [3, 5]),
        ("<|end|>B>", "<|end|>>", [7]),  # what the template wrote stays one token
        ("G<tool>", "<tool>", [1]),
        ("G \n<tool>", " \n<tool>", []),
        (r'{"a": "<\u0042|end|>"}', '{"a": "<|end|>"}', [8]),
    ],
)
def test_reading_marks(written: str, text: str, cuts: list[int]) -> None:
    marks = Marks(CONTROL, Look(), "\ue000", "\ue001")
    written = written.replace(r"\u0042", r"\ue000").replace("B", "\ue000").replace("G", "\ue001")
    assert marks.read(written) == (text, cuts)


def test_guards_stand_where_a_template_looks() -> None:
    marks = Marks(CONTROL, Look(seeks=frozenset({"</tool>"})), "B", "G")
    assert marks.mark("<tool>a</tool>b", said=True) == "<Btool>aG</tool>b"
    assert marks.mark("<tool>a</tool>b") == "<Btool>a<B/tool>b"


def test_what_a_template_takes_out_leaves_no_control_string_behind() -> None:
    look = Look(removes=frozenset({"/nothink"}))
    body = {"messages": [{"role": "user", "content": "a <|en/nothinkd|>"}]}
    chosen = marks.choose(CONTROL, body, look)
    assert chosen is not None
    (message,) = marks.through(body, chosen.mark)["messages"]
    text, cuts = chosen.read(message["content"].replace("/nothink", ""))
    assert (text, cuts) == ("a <|end|>", [6])


def test_marks_are_characters_that_the_chat_does_not_hold() -> None:
    body = {"messages": [{"role": "user", "content": "\ue000 \\ue001 \\uE002 <|end|>."}]}
    chosen = marks.choose(CONTROL, body, Look())
    assert chosen is not None
    (message,) = marks.through(body, chosen.mark)["messages"]
    assert message["content"] == "\ue000 \\ue001 \\uE002 <\ue003|end|>."
    assert chosen.read(message["content"])[0] == body["messages"][0]["content"]


def test_pictures_roles_and_types_stay() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:<|end|>"}}
    body = {"messages": [{"role": "user", "content": [picture, {"type": "text", "text": "a<tool>b"}]}]}
    (message,) = marks.through(body, MARKS.mark)["messages"]
    assert message == {"role": "user", "content": [picture, {"type": "text", "text": "a<Btool>b"}]}


def lowering() -> PreTrainedTokenizerFast:
    """A tokenizer that looks for one of its added tokens after it has normalized the text."""
    vocabulary = {"[UNK]": 0} | {character: number for number, character in enumerate("<|end>/tol abc", 1)}
    made = Tokenizer(
        models.WordPiece(vocabulary | {f"##{one}": 20 + place for place, one in enumerate("<|end>/tolabc")})
    )
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens([AddedToken("<|end|>", normalized=True, special=True)])
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]")


@pytest.mark.parametrize("text", ["a<|END|>b", "a \uff1c|end|> b", "\u24d0<|\u212fnd|>"])
def test_strings_that_a_normalizer_makes_are_found(text: str) -> None:
    tokenizer = lowering()
    (control,) = tokenizer.convert_tokens_to_ids(["<|end|>"])
    assert control in tokenizer(text)["input_ids"]
    strings = control_strings.of(tokenizer)
    chosen = marks.choose(strings, {"messages": [{"role": "user", "content": text}]}, Look())
    assert chosen is not None
    read, cuts = chosen.read(chosen.mark(text))
    assert read == text
    (cut,) = cuts
    assert control not in plain_text.pieces_to_tokens(tokenizer, [read[:cut], read[cut:]])


def test_added_tokens_that_are_words_are_text() -> None:
    made = Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]"))
    made.add_tokens(["  ", "\n\n", "Grundgesetz", "\u2581\u2581", "<think>"])
    made.add_special_tokens(["sep"])
    strings = control_strings.of(PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]"))
    assert not strings.found("  \n\nGrundgesetz\u2581\u2581")
    assert strings.places("[UNK]<think>sep") == [(0, 5), (5, 12), (12, 15)]


def test_reasoning_is_set_apart_as_templates_do_it() -> None:
    said = {"role": "assistant", "content": "<think>\na\n</think>\n\nb"}
    kept = [
        {"role": "user", "content": "<think>a</think>b"},
        {"role": "assistant", "content": "<think>a"},
        {"role": "assistant", "content": "</think>b", "reasoning": "a"},
        {"role": "assistant", "content": [{"type": "text", "text": "</think>"}]},
    ]
    apart = marks.reasoning_apart([said, *kept])
    assert apart == [{"role": "assistant", "reasoning": "a", "content": "b"}, *kept]


def placed(*tokens: int, picture: tuple[int, int]) -> dict[str, Any]:
    """vLLM's engine input with one picture. picture: its first token's place, and how many it has."""
    offset, length = picture
    return {"prompt_token_ids": tokens, "mm_placeholders": {"image": [SimpleNamespace(offset=offset, length=length)]}}


def test_control_tokens_that_come_back_with_pictures_are_refused() -> None:
    """vLLM may write the prompt as text and read it again, to find a picture's place."""
    plain = plain_text.PlainText(SimpleNamespace(get_tokenizer=lowering))
    marked = plain_text.Marked(MARKS)
    marked.tokens, marked.text = Counter({7: 1}), frozenset({7})
    plain.check(marked, {"prompt_token_ids": (7, 7)})  # no picture, so nothing was read again
    plain.check(marked, placed(1, 7, 9, 9, picture=(2, 2)))
    plain.check(marked, placed(1, 7, 7, 7, picture=(2, 2)))
    with pytest.raises(InvalidRequest) as refused:
        plain.check(marked, placed(7, 7, 9, 9, picture=(2, 2)))
    assert refused.value.param == "messages"
