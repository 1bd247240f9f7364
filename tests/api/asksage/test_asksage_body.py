"""Bodies of the Ask Sage dialect: what each encoding says, read as one."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from fastapi import FastAPI, Request
from pydantic import Field

from server.api import errors
from server.api.asksage.body import MOST_FIELDS, read
from server.api.asksage.dialect import AskSage
from server.api.dialect import Dialects
from server.api.json_size import DEEPEST
from server.api.openai.dialect import OPENAI
from server.api.validation import Body

pytestmark = pytest.mark.anyio

LIMIT, FILE_LIMIT = 4000, 1000


class Turn(Body):
    user: str
    message: str


class Asked(Body):
    message: str | list[Turn] | None = None
    dataset: str | list[str] = "all"
    temperature: float = Field(0.0, ge=0, le=1)
    live: int = 0
    streaming: bool = False
    names: list[str] = Field(default_factory=list)
    values: dict[str, Any] | list[Any] | None = None
    persona: int | str | None = None


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    errors.install(app, Dialects(OPENAI, AskSage()))

    @app.api_route("/server/fields", methods=["GET", "POST"])
    async def fields(request: Request) -> dict[str, Any]:
        received = await read(request, Asked, limit=LIMIT)
        return received.body.model_dump(exclude_unset=True)

    @app.post("/server/files")
    async def files(request: Request) -> dict[str, Any]:
        received = await read(request, Asked, limit=LIMIT, file_limit=FILE_LIMIT)
        names = [[one.filename, one.data.decode()] for one in received.files]
        return {**received.body.model_dump(exclude_unset=True), "files": names}

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


FORM = {"content-type": "application/x-www-form-urlencoded"}


async def form(http: httpx.AsyncClient, body: str) -> Any:
    return (await http.post("/server/fields", content=body, headers=FORM)).json()


async def test_the_official_clients_smallest_form(http: httpx.AsyncClient) -> None:
    body = "message=hi&persona=default&dataset=all&temperature=0.0&live=0&model=openai_gpt"
    assert await form(http, body) == {
        "message": "hi", "persona": "default", "dataset": "all", "temperature": 0.0, "live": 0,
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "", FORM["content-type"]])
async def test_json_is_json_whatever_it_is_called(http: httpx.AsyncClient, kind: str) -> None:
    body = b'{"message": "hi", "dataset": null, "temperature": 0.5, "unknown": [1]}'
    answer = await http.post("/server/fields", content=body, headers={"content-type": kind} if kind else {})
    assert answer.json() == {"message": "hi", "temperature": 0.5}


@pytest.mark.parametrize("headers", [{}, {"content-type": "application/json"}, FORM])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nothing_is_an_empty_body(http: httpx.AsyncClient, method: str, headers: dict[str, str]) -> None:
    assert (await http.request(method, "/server/fields", headers=headers)).json() == {}


async def test_a_query_string_stands_for_a_body_and_gives_way_to_one(http: httpx.AsyncClient) -> None:
    path = "/server/fields?message=hi&live=2&dataset=a&dataset=b"
    asked = {"message": "hi", "live": 2, "dataset": ["a", "b"]}
    assert (await http.get(path)).json() == asked
    assert (await http.post(path, json={"live": 1})).json() == asked | {"live": 1}
    assert (await http.post(path, content="live=1", headers=FORM)).json() == asked | {"live": 1}
    assert (await http.post(path, files={"live": (None, "1")})).json() == asked | {"live": 1}


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        ("plain words", "plain words"),
        ('"quoted \\u00e9"', "quoted é"),
        ('[{"user": "me", "message": "\\u00e9"}]', [{"user": "me", "message": "é"}]),
        ('{"a": 1}', '{"a": 1}'),
        ("[1, 2]", "[1, 2]"),
        ("[[tag]] and words", "[[tag]] and words"),
        ('"two" quotes "here"', '"two" quotes "here"'),
        ("17", "17"),
    ],
)
async def test_a_forms_message_is_what_it_looks_like(http: httpx.AsyncClient, sent: str, read_as: Any) -> None:
    assert (await form(http, urlencode({"message": sent}))) == {"message": read_as}
    parts = await http.post("/server/fields", files={"message": (None, sent)})
    assert parts.json() == {"message": read_as}


async def test_a_json_message_is_never_taken_apart(http: httpx.AsyncClient) -> None:
    for sent in ('"quoted"', '[{"user": "me", "message": "hi"}]', '{"a": 1}'):
        assert (await http.post("/server/fields", json={"message": sent})).json() == {"message": sent}


@pytest.mark.parametrize("sent", [{"a": 1}, [{"name": "a"}]])
async def test_json_in_a_string_is_read_where_a_string_makes_no_sense(http: httpx.AsyncClient, sent: Any) -> None:
    inner = json.dumps(sent)
    assert (await http.post("/server/fields", json={"values": inner})).json() == {"values": sent}
    assert await form(http, urlencode({"values": inner})) == {"values": sent}


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("names=a&names=b", ["a", "b"]),
        ("names[]=a&names[]=b", ["a", "b"]),
        ("names=a", ["a"]),
        ("names=%5B%22a%22%2C%20%22b%22%5D", ["a", "b"]),
    ],
)
async def test_a_list_in_a_form(http: httpx.AsyncClient, body: str, names: list[str]) -> None:
    assert await form(http, body) == {"names": names}


async def test_of_a_field_that_holds_one_value_the_last_counts(http: httpx.AsyncClient) -> None:
    assert await form(http, "live=0&live=2&temperature=&persona=") == {"live": 2}


async def test_truth_values_and_nulls_of_forms(http: httpx.AsyncClient) -> None:
    assert await form(http, "streaming=true&values=null&live=null") == {"streaming": True}
    assert await form(http, "message=null") == {"message": "null"}


async def test_files_come_in_order_with_their_names(http: httpx.AsyncClient) -> None:
    boundary = "b0"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="message"\r\n\r\nread it\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="dataset"\r\n\r\na\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="dataset"\r\n\r\nb\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="x.txt"\r\n\r\nfirst\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="y.txt"\r\n\r\nsecond\r\n'
        f"--{boundary}--\r\n"
    )
    kind = {"content-type": f"multipart/form-data; boundary={boundary}"}
    answer = await http.post("/server/files", content=body.encode(), headers=kind)
    assert answer.json() == {
        "message": "read it",
        "dataset": ["a", "b"],
        "files": [["x.txt", "first"], ["y.txt", "second"]],
    }


async def refused(http: httpx.AsyncClient, **request: Any) -> tuple[int, str | None, str]:
    answer = await http.post(request.pop("path", "/server/fields"), **request)
    assert answer.status_code == 200
    told = answer.json()
    return told["status"], told.get("param"), told["response"]


async def test_what_is_refused(http: httpx.AsyncClient) -> None:
    assert await refused(http, content="temperature=3", headers=FORM) == (
        400, "temperature", "Invalid value for 'temperature': Input should be less than or equal to 1.",
    )  # fmt: skip
    assert await refused(http, content="names=%5B1%5D&live=x", headers=FORM) == (
        400, "live", "Invalid type for 'live': expected an integer, but got a string instead.",
    )  # fmt: skip
    assert (await refused(http, content=b"message=%ff", headers=FORM))[2] == "The form is not valid UTF-8."
    assert (await refused(http, path="/server/fields?live=%ff"))[2] == "The query string is not valid UTF-8."
    many = "a=&" * MOST_FIELDS + "a="
    assert (await refused(http, content=many, headers=FORM))[2] == f"The form has more than {MOST_FIELDS} fields."
    assert (await refused(http, content=b"{", headers={"content-type": "application/json"}))[0] == 400
    assert (await refused(http, json=[1]))[2] == "The JSON body of your request must be an object."
    assert (await refused(http, content=b"<a/>", headers={"content-type": "text/xml"}))[0] == 415
    none = await refused(http, files={"message": (None, "hi"), "file": ("x.txt", b"")})
    assert none == (400, "file", "'file': no files are taken here.")
    assert (await refused(http, content=b"message=" + b"a" * LIMIT, headers=FORM))[0] == 413
    assert (await refused(http, path="/server/files", files={"file": ("x", b"a" * (FILE_LIMIT + 1))}))[0] == 413


async def test_deep_json_is_read_nowhere(http: httpx.AsyncClient) -> None:
    deep = "[" * (DEEPEST + 2) + "]" * (DEEPEST + 2)
    told = "The JSON body of your request is nested deeper than 200 levels."
    assert (await refused(http, content=f'{{"values": {deep}}}'.encode()))[2] == told
    told = "Invalid type for 'values': expected an object or an array, but got a string instead."
    assert await refused(http, content=urlencode({"values": deep}), headers=FORM) == (400, "values", told)
    assert await refused(http, json={"values": deep}) == (400, "values", told)
    assert await form(http, urlencode({"message": deep})) == {"message": deep}
