"""Embeddings. POST /v1/embeddings."""

import base64
import json
import math
import struct
from typing import Any

from openai.types import CreateEmbeddingResponse

from tests.conformance.case import case
from tests.conformance.expect import equal, error, ok, refused_or_ok, that
from tests.conformance.target import Answer, Target

CAT, DOG, LAW = "A cat sleeps on the sofa.", "A dog naps on the couch.", "The court rejected the appeal on procedure."
CL100K = [9906, 1917]
"""`Hello world` in OpenAI's cl100k."""


def embed(target: Target, given: Any, **fields: Any) -> Answer:
    return target.post("/embeddings", {"model": target.model("embedding"), "input": given} | fields)


def embedded(target: Target, given: Any, **fields: Any) -> CreateEmbeddingResponse:
    value: CreateEmbeddingResponse = target.strict(CreateEmbeddingResponse, ok(embed(target, given, **fields)).raw)
    equal([one.index for one in value.data], list(range(len(value.data))), "the indices")
    return value


def vectors(target: Target, given: Any, **fields: Any) -> list[list[float]]:
    return [one.embedding for one in embedded(target, given, **fields).data]


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True)) / (math.hypot(*one) * math.hypot(*other))


@case("OpenAI", needs="embedding")
def form(target: Target) -> None:
    """A text gives a list with one embedding, as the SDK declares it."""
    value = embedded(target, CAT)
    equal(len(value.data), 1, "the number of embeddings")
    equal(value.model, target.model("embedding"), "model")
    that(len(value.data[0].embedding) >= 32, "a short vector")
    that(all(map(math.isfinite, value.data[0].embedding)), "a number is not finite")


@case("OpenAI", needs="embedding")
def usage(target: Target) -> None:
    """`usage` counts the prompt's tokens, and more for more texts."""
    one, two = embedded(target, CAT).usage, embedded(target, [CAT, LAW]).usage
    equal(one.total_tokens, one.prompt_tokens, "total_tokens")
    that(0 < one.prompt_tokens < two.prompt_tokens, f"{one.prompt_tokens} and {two.prompt_tokens} prompt tokens")


@case("OpenAI", needs="embedding")
def several(target: Target) -> None:
    """A list gives an embedding for each text, in order, near those of each alone."""
    together = vectors(target, [CAT, LAW])
    for text, found in zip((CAT, LAW), together, strict=True):
        that(cosine(found, vectors(target, text)[0]) > 0.999, "an embedding is another one in a list")


@case("OpenAI", needs="embedding")
def meaning(target: Target) -> None:
    """Texts of like meaning are nearer to each other than to another."""
    cat, dog, law = vectors(target, [CAT, DOG, LAW])
    that(cosine(cat, dog) > cosine(cat, law) + 0.1, f"{cosine(cat, dog):.2f} and {cosine(cat, law):.2f}")


@case("OpenAI, reports", needs="embedding")
def base64_form(target: Target) -> None:
    """`encoding_format: base64` (what the SDK sends) is little-endian float32, of the same numbers as `float`."""
    body = ok(embed(target, CAT, encoding_format="base64")).json()
    packed = body["data"][0]["embedding"]
    that(isinstance(packed, str), f"the embedding is a {type(packed).__name__}")
    data = base64.b64decode(packed, validate=True)
    numbers = list(struct.unpack(f"<{len(data) // 4}f", data))
    that(cosine(numbers, vectors(target, CAT)[0]) > 0.999, "other numbers than `float`")


@case("OpenAI", needs="embedding")
def float_form(target: Target) -> None:
    """`encoding_format: float`, and none at all, is a list of numbers."""
    for fields in ({"encoding_format": "float"}, {}, {"encoding_format": None}):
        that(isinstance(ok(embed(target, CAT, **fields)).json()["data"][0]["embedding"], list), "no list")


@case("OpenAI, reports", needs="embedding")
def tokens(target: Target) -> None:
    """A list of token ids is read as cl100k: its embedding is near that of the text; or it is refused by name."""
    if (answer := refused_or_ok(embed(target, CL100K), "input")) is not None:
        value = target.strict(CreateEmbeddingResponse, answer.raw)
        equal(len(value.data), 1, "the number of embeddings")
        found = cosine(value.data[0].embedding, vectors(target, "Hello world")[0])
        that(found > 0.99, f"a cosine of {found:.2f} to the text: the ids were read by another tokenizer")


@case("OpenAI, reports", needs="embedding")
def token_lists(target: Target) -> None:
    """A list of lists of token ids gives an embedding for each, as LangChain sends them; or is refused by name."""
    if (answer := refused_or_ok(embed(target, [CL100K, CL100K[:1]]), "input")) is not None:
        equal(len(answer.json()["data"]), 2, "the number of embeddings")


@case("OpenAI", needs="embedding")
def unknown_token(target: Target) -> None:
    """An id outside of the vocabulary is a 400."""
    error(embed(target, [99_999_999]), 400)


@case("OpenAI", needs="embedding")
def empty_text(target: Target) -> None:
    """An empty text is a 400 that names input."""
    for given in ("", [CAT, ""]):
        that((error(embed(target, given), 400).param or "").startswith("input"), "the error's param is not input")


@case("OpenAI", needs="embedding")
def empty_list(target: Target) -> None:
    """`input: []` is a 400 that names it; empty data would crash the SDK."""
    that((error(embed(target, []), 400).param or "").startswith("input"), "the error's param is not input")


@case("OpenAI", needs="embedding")
def too_many(target: Target) -> None:
    """2,049 inputs are a 400 that names input."""
    that((error(embed(target, ["a"] * 2049), 400).param or "").startswith("input"), "the error's param is not input")


@case("OpenAI", needs="embedding")
def too_long(target: Target) -> None:
    """A text longer than the model reads is a 400, never cut without a word."""
    error(embed(target, "word " * 60_000), 400)


@case("vLLM", needs="embedding")
def truncate(target: Target) -> None:
    """`truncate_prompt_tokens: -1` cuts what is too long."""
    that(embedded(target, "word " * 2_000, truncate_prompt_tokens=-1).usage.prompt_tokens > 100, "few prompt tokens")


@case("OpenAI", needs="embedding")
def dimensions(target: Target) -> None:
    """`dimensions` is honoured, at unit length, or refused by name."""
    if (answer := refused_or_ok(embed(target, CAT, dimensions=64), "dimensions")) is not None:
        vector = answer.json()["data"][0]["embedding"]
        equal(len(vector), 64, "the number of dimensions")
        that(abs(math.hypot(*vector) - 1) < 0.01, f"the vector's length is {math.hypot(*vector):.3f}")


@case("OpenAI", needs="embedding")
def unit_length(target: Target) -> None:
    """Vectors have length 1, as those of OpenAI: programs take the dot product for the cosine."""
    for vector in vectors(target, [CAT, LAW]):
        that(abs(math.hypot(*vector) - 1) < 0.01, f"the vector's length is {math.hypot(*vector):.3f}")


@case("OpenAI", needs="embedding")
def unknown_encoding(target: Target) -> None:
    """An unknown encoding_format is a 400 that names it."""
    error(embed(target, CAT, encoding_format="hex"), 400, param="encoding_format")


@case("OpenAI", needs="embedding")
def input_of_a_wrong_type(target: Target) -> None:
    """An input that is a number, mixed or missing is a 400 that names it."""
    for given in (5, [CAT, 5], [[CAT]], {"a": 1}, None):
        that((error(embed(target, given), 400).param or "").startswith("input"), f"param for {json.dumps(given)}")


@case("OpenAI", needs="embedding")
def unknown_model(target: Target) -> None:
    """An unknown model: 404 with code model_not_found."""
    error(embed(target, CAT, model="none-of-that-name"), 404, code="model_not_found")


@case("OpenAI", needs="embedding")
def unknown_fields(target: Target) -> None:
    """`user`, and fields that the server doesn't know, are accepted."""
    embedded(target, CAT, user="ada", some_new_field=1)


@case("sagehold", needs=("chat", "embedding"))
def chat_model(target: Target) -> None:
    """A model that can't embed is refused in the envelope: 404, or 400."""
    answer = embed(target, CAT, model=target.model("chat"))
    if answer.status != 200:
        error(answer, (400, 404))
