"""Reading bodies: what is refused, with which status, and which field is named."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

import httpx
import orjson
import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel, Field, ValidationError, field_validator

from server.api import errors
from server.api.body import read_form, read_json
from server.api.dialect import Dialects
from server.api.json_size import DEEPEST
from server.api.openai.dialect import OPENAI
from server.api.validation import Body, validate
from server.errors import InvalidRequest

pytestmark = pytest.mark.anyio

LIMIT = 2000
FILE_LIMIT = 1000


class Text(Body):
    type: Literal["text"]
    text: str


class Picture(Body):
    type: Literal["image_url"]
    image_url: dict[str, str]


class Message(Body):
    role: Literal["user", "system"]
    content: str | list[Annotated[Text | Picture, Field(discriminator="type")]]


class Asked(Body):
    model: str
    messages: list[Message] = Field(min_length=1)
    temperature: float | None = Field(None, ge=0, le=2)
    n: int = 1
    stop: str | list[str] | None = None
    user: str = "nobody"

    @field_validator("stop")
    @classmethod
    def _few(cls, stop: Any) -> Any:
        if isinstance(stop, list) and len(stop) > 4:
            raise ValueError("at most 4 stop sequences are allowed")
        return stop


class Fields(Body):
    model: str
    temperature: float = 0.0
    stream: bool = False
    timestamp_granularities: list[Literal["word", "segment"]] = Field(["segment"])


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    errors.install(app, Dialects(OPENAI))

    @app.post("/json")
    async def json(request: Request) -> dict[str, Any]:
        return (await read_json(request, Asked, limit=LIMIT)).model_dump()

    @app.post("/large")
    async def large(request: Request) -> dict[str, Any]:
        return (await read_json(request, Asked, limit=100 * LIMIT)).model_dump()

    @app.post("/form")
    async def form(request: Request) -> dict[str, Any]:
        form = await read_form(request, file_limit=FILE_LIMIT)
        file = form.file()
        fields = form.parse(Fields, arrays=["timestamp_granularities"])
        return {**fields.model_dump(), "name": file.filename, "type": file.content_type, "bytes": len(file.data)}

    return app


@pytest.fixture
def http(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


GOOD = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


async def refused(http: httpx.AsyncClient, body: Any) -> dict[str, Any]:
    answer = await http.post("/json", json=body)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    error: dict[str, Any] = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    return error


async def test_unknown_fields_are_ignored_and_nulls_are_absent(http: httpx.AsyncClient) -> None:
    answer = await http.post("/json", json={**GOOD, "user": None, "n": None, "prompt_cache_key": "x"})
    assert answer.status_code == 200
    assert answer.json()["user"] == "nobody"
    assert answer.json()["n"] == 1
    assert "prompt_cache_key" not in answer.json()


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"messages": GOOD["messages"]}, "model", "missing_required_parameter"),
        ({**GOOD, "model": None}, "model", "missing_required_parameter"),
        ({**GOOD, "model": 5}, "model", "invalid_type"),
        ({**GOOD, "messages": "hi"}, "messages", "invalid_type"),
        ({**GOOD, "messages": []}, "messages", "invalid_value"),
        ({**GOOD, "messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
        ({**GOOD, "messages": [{"role": "elf", "content": "hi"}]}, "messages[0].role", "invalid_value"),
        ({**GOOD, "messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type"),
        (
            {**GOOD, "messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
            "missing_required_parameter",
        ),
        (
            {**GOOD, "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": 1}}]}]},
            "messages[0].content[0].image_url.url",
            "invalid_type",
        ),
        (
            {**GOOD, "messages": [{"role": "user", "content": [{"type": "song"}]}]},
            "messages[0].content[0]",
            "invalid_value",
        ),
        ({**GOOD, "temperature": 3}, "temperature", "invalid_value"),
        ({**GOOD, "temperature": "hot"}, "temperature", "invalid_type"),
        ({**GOOD, "n": 1.5}, "n", "invalid_type"),
        ({**GOOD, "stop": ["a"] * 5}, "stop", "invalid_value"),
        ({**GOOD, "stop": ["a", 5]}, "stop[1]", "invalid_type"),
    ],
)
async def test_the_wrong_field_is_named(http: httpx.AsyncClient, body: Any, param: str, code: str) -> None:
    error = await refused(http, body)
    assert (error["param"], error["code"]) == (param, code)
    assert f"'{param}'" in error["message"]


async def test_messages_read_like_the_openai_apis(http: httpx.AsyncClient) -> None:
    assert (await refused(http, {}))["message"] == "Missing required parameter: 'model'."
    wrong = {**GOOD, "messages": [{"role": "user", "content": 5}]}
    assert (await refused(http, wrong))["message"] == (
        "Invalid type for 'messages[0].content': expected a string or an array, but got an integer instead."
    )
    assert (await refused(http, {**GOOD, "stop": ["a"] * 5}))["message"] == (
        "Invalid value for 'stop': at most 4 stop sequences are allowed."
    )


@pytest.mark.parametrize("element", [b"1", b"{}", b'{"role": 1}'])
def test_a_body_of_a_million_mistakes_is_one_finding(element: bytes) -> None:
    """It took minutes and gigabytes, in the front end's only thread, when each was a finding of its own."""
    body = orjson.loads(b'{"model": "m", "messages": [' + b",".join([element] * 500_000) + b"]}")
    with pytest.raises(InvalidRequest) as caught:
        validate(Asked, body)
    found = caught.value.__context__
    assert isinstance(found, ValidationError)
    assert found.error_count() < 5  # each of the element's fields may be one
    assert caught.value.param is not None
    assert caught.value.param.startswith("messages[0]")


def bodies(kind: type[Body] = Body) -> Iterator[type[Body]]:
    for body in kind.__subclasses__():
        yield body
        yield from bodies(body)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    for part in get_args(annotation):
        yield from models_in(part)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation


@pytest.mark.parametrize("body", [body for body in bodies() if body.__module__.startswith("server.")])
def test_the_models_within_a_body_are_bodies(body: type[Body]) -> None:
    """Any other would go on to the last of its bad elements."""
    for name, field in body.model_fields.items():
        assert [model for model in models_in(field.annotation) if not issubclass(model, Body)] == [], name


def test_every_route_that_reads_a_body_is_among_them() -> None:
    assert {"ChatRequest", "ImageRequest", "SpeechRequest", "TranscriptionForm", "NewKey"} <= {
        body.__name__ for body in bodies()
    }


async def test_malformed_json_says_where(http: httpx.AsyncClient) -> None:
    answer = await http.post("/json", content=b'{"model": "m",\n oops}', headers={"content-type": "application/json"})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert "line 2 column 2" in error["message"]


@pytest.mark.parametrize("body", [b"", b"[1]", b'"text"', b"null", b"\xff\xfe", b"[" * 1500])
async def test_what_is_no_object_is_refused(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post("/json", content=body, headers={"content-type": "application/json; charset=utf-8"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_another_content_type_is_415(http: httpx.AsyncClient, kind: str) -> None:
    answer = await http.post("/json", content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 415
    assert answer.json()["error"]["code"] == "unsupported_media_type"


async def test_a_body_is_capped_whether_it_tells_its_length_or_not(http: httpx.AsyncClient) -> None:
    exact = b'{"model": "' + b"m" * (LIMIT - 13) + b'"}'
    assert len(exact) == LIMIT
    assert (await http.post("/json", content=exact, headers={"content-type": "application/json"})).status_code == 400
    over = await http.post("/json", content=exact + b" ", headers={"content-type": "application/json"})
    assert over.status_code == 413

    read = 0

    async def endless() -> Any:
        nonlocal read
        while True:
            read += 1
            assert read < 100, "the rest of a body that is too large is still read"
            yield b" " * 500

    streamed = await http.post("/json", content=endless(), headers={"content-type": "application/json"})
    assert streamed.status_code == 413
    assert streamed.json()["error"]["message"] == "Maximum content size limit (2000) exceeded (2500 bytes read)"


async def test_a_form_with_brackets_and_repeats(http: httpx.AsyncClient) -> None:
    answer = await http.post(
        "/form",
        files=[
            ("file", ("a.wav", b"RIFF", "Audio/WAV")),
            ("model", (None, "whisper-1")),
            ("temperature", (None, "0.5")),
            ("stream", (None, "true")),
            ("timestamp_granularities[]", (None, "word")),
            ("timestamp_granularities", (None, "segment")),
        ],
    )
    assert answer.status_code == 200
    assert answer.json() == {
        "model": "whisper-1",
        "temperature": 0.5,
        "stream": True,
        "timestamp_granularities": ["word", "segment"],
        "name": "a.wav",
        "type": "audio/wav",
        "bytes": 4,
    }


async def test_empty_form_fields_are_absent(http: httpx.AsyncClient) -> None:
    files = [("file", ("a", b"x")), ("model", (None, "m")), ("temperature", (None, "")), ("stream", (None, ""))]
    assert (await http.post("/form", files=files)).json()["temperature"] == 0.0


@pytest.mark.parametrize(
    ("files", "param", "code"),
    [
        ([("model", (None, "m"))], "file", "missing_required_parameter"),
        ([("model", (None, "m")), ("file", (None, "text"))], "file", "invalid_type"),
        ([("file", ("a", b"x"))], "model", "missing_required_parameter"),
        ([("file", ("a", b"x")), ("model", (None, "m")), ("temperature", (None, "x"))], "temperature", "invalid_type"),
        (
            [("file", ("a", b"x")), ("model", (None, "m")), ("timestamp_granularities[]", (None, "day"))],
            "timestamp_granularities[0]",
            "invalid_value",
        ),
    ],
)
async def test_the_wrong_form_field_is_named(http: httpx.AsyncClient, files: Any, param: str, code: str) -> None:
    answer = await http.post("/form", files=files)
    assert answer.status_code == 400
    assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == (param, code)


async def test_a_file_that_is_too_large_is_refused_in_the_openai_apis_words(http: httpx.AsyncClient) -> None:
    fields = [("model", (None, "m"))]
    at_limit = await http.post("/form", files=[*fields, ("file", ("a", b"x" * FILE_LIMIT))])
    assert at_limit.json()["bytes"] == FILE_LIMIT
    over = await http.post("/form", files=[*fields, ("file", ("a", b"x" * (FILE_LIMIT + 1)))])
    assert over.status_code == 413
    assert over.json()["error"]["message"] == "Maximum content size limit (1000) exceeded (1001 bytes read)"
    assert over.json()["error"]["code"] is None
    huge = await http.post("/form", files=[*fields, ("file", ("a", b"x" * (2**20 + 2000)))])
    assert huge.status_code == 413


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("", b"", 415),
        ("multipart/form-data", b"--x", 400),
        ("multipart/form-data; boundary=x", b"not a form", 400),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\ncut', 400),
    ],
)
async def test_what_is_no_form_is_refused(http: httpx.AsyncClient, kind: str, body: bytes, status: int) -> None:
    answer = await http.post("/form", content=body, headers={"content-type": kind} if kind else {})
    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"


CHARSETS = [
    *(
        "undefined",
        "idna",
        "punycode",
        "utf-7",
        "zlib",
        "hex",
        "utf-16",
        "unicode_escape",
        "mbcs",
        "no-such",
        "utf-8\0",
    ),
    "x" * 5000,
]


@pytest.mark.parametrize("charset", CHARSETS)
async def test_a_form_in_what_is_no_charset_of_text_is_refused(http: httpx.AsyncClient, charset: str) -> None:
    """A part's name and its text are decoded by it: Python's own `undefined` always fails, `idna` takes minutes."""
    head = b'Content-Disposition: form-data; name="model"'
    file = b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\nx'
    body = b"--b\r\n" + head + b"\r\n\r\n+2AA-" + b"x" * 200 + b"\r\n--b\r\n" + file + b"\r\n--b--\r\n"
    kind = f"multipart/form-data; boundary=b; charset={charset}"
    answer = await http.post("/form", content=body, headers={"content-type": kind})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(f"The form's charset '{charset[:40]}' is not read here.")


@pytest.mark.parametrize(
    ("charset", "value"),
    [("utf-8", "\u00fc\u20ac"), ("UTF8", "\u00fc"), ("us-ascii", "u"), ("latin-1", "\u00fc"), ("ISO-8859-1", "\u00fc")],
)
async def test_a_form_is_read_in_its_charset(http: httpx.AsyncClient, charset: str, value: str) -> None:
    model = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n' + value.encode(charset)
    file = b'\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--b--\r\n'
    kind = f'multipart/form-data; boundary=b; charset="{charset}"'
    answer = await http.post("/form", content=model + file, headers={"content-type": kind})
    assert answer.json()["model"] == value


def nested(levels: int, opening: str = "[", closing: str = "]") -> str:
    return opening * levels + closing * levels


DEEP = [
    '{"model": "m", "messages": [{"role": "user", "content": [{"type": %s}]}]}',
    '{"model": "m", "messages": [{"role": %s, "content": "hi"}]}',
    '{"model": "m", "messages": [], "unknown": %s}',
    '{"model": %s}',
]


@pytest.mark.parametrize("body", DEEP)
@pytest.mark.parametrize("value", [nested(980), nested(1010), nested(980, '{"a":[', "]}"), nested(300)])
async def test_a_body_nested_deeply_is_refused(http: httpx.AsyncClient, body: str, value: str) -> None:
    """Python's own words for a value that deep run out of its stack."""
    headers = {"content-type": "application/json"}
    answer = await http.post("/large", content=(body % value).encode(), headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_json"


async def test_a_wide_body_is_no_deep_one(http: httpx.AsyncClient) -> None:
    flat = [[] for _ in range(400)]
    assert (await http.post("/large", json={**GOOD, "unknown": [flat, nested(1000)]})).status_code == 200
    level: Any = "the last"
    for _ in range(DEEPEST - 1):  # the body itself is one
        level = [level]
    assert (await http.post("/large", json={**GOOD, "unknown": level})).status_code == 200
    assert (await http.post("/large", json={**GOOD, "unknown": [level]})).status_code == 400
