"""Bodies whose parts are many: read without an object for each, and refused by name where they are too many."""

from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson
import pytest
from pydantic import ValidationError

from server.api.asksage import attachments
from server.api.asksage import body as bodies
from server.api.asksage.plugins import PluginBody
from server.api.asksage.query_request import QueryBody
from server.api.openai.chat_messages import MOST_MESSAGES
from server.core import Task
from server.errors import InvalidRequest
from tests.api.asksage.conftest import Sage

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("shift", range(6))
def test_a_forms_texts_are_decoded_as_the_standard_library_does(shift: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "PIECE", 16)
    fields = [("message", "a" * shift + "é漢+ %&=100% 🙂" * 20), ("dataset[]", "a"), ("dataset", "b c"), ("empty", "")]
    data = urlencode(fields).encode() + b"&bare&%zz=%4&&=x"
    expected: dict[str, list[str]] = {}
    for name, value in parse_qsl(data.decode(), keep_blank_values=True, errors="strict"):
        expected.setdefault(name.removesuffix("[]"), []).append(value)
    assert bodies._pairs(data, "form") == expected


def test_a_form_is_bounded_and_in_utf_8() -> None:
    assert len(bodies._pairs(b"&".join(b"a=%d" % n for n in range(1000)), "form")["a"]) == 1000
    with pytest.raises(InvalidRequest, match="more than 1000 fields"):
        bodies._pairs(b"a=1&" * 1000, "form")
    for wrong in (b"message=%ff", b"message=\xff"):
        with pytest.raises(InvalidRequest, match="not valid UTF-8"):
            bodies._pairs(wrong, "form")


@pytest.mark.parametrize(("name", "most"), [("message", 4), ("messages", 3), ("tools", 4), ("dataset", 3)])
def test_a_forms_list_is_looked_at_until_its_first_wrong_element(name: str, most: int) -> None:
    """Each finding takes as long as a hundred elements that are right."""
    with pytest.raises(ValidationError) as raised:
        bodies._adapters(QueryBody)[name].validate_python([1] * 90)
    assert raised.value.error_count() <= most


@pytest.mark.anyio
@pytest.mark.parametrize("form", [True, False])
@pytest.mark.parametrize("count", [MOST_MESSAGES, MOST_MESSAGES + 1, 20_000])
async def test_the_turns_of_a_conversation_are_bounded(sage: Sage, form: bool, count: int) -> None:
    turns = [{"user": "me", "message": "a"}] * count
    fields: dict[str, Any] = {"message": orjson.dumps(turns).decode() if form else turns, "dataset": "none"}
    answer = await sage.http.post("/server/query", **({"data": fields} if form else {"json": fields}))
    if count == MOST_MESSAGES:
        assert answer.json()["status"] == 200
        return
    told = answer.json()
    assert (told["status"], told["param"]) == (400, "message")
    assert told["response"] == f"A conversation has at most {MOST_MESSAGES} turns."
    assert sage.fake.engines[Task.CHAT].started == 0


@pytest.mark.parametrize("schema", [QueryBody, PluginBody])
@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("a, b,a", ["a", "b"]),
        (["a,b", " c ", ""], ["a", "b", "c"]),
        (",".join(f"n{n}" for n in range(100)), [f"n{n}" for n in range(100)]),
    ],
)
def test_names_of_datasets_in_a_text_with_commas(schema: type[QueryBody], given: Any, names: list[str]) -> None:
    assert schema.model_validate({"dataset": given}).datasets == names


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/server/query", "/server/execute-plugin"])
@pytest.mark.parametrize("given", [[f"n{n}" for n in range(101)], ",".join(f"n{n}" for n in range(101)), "a," * 90_000])
async def test_too_many_datasets_are_refused_by_name(sage: Sage, path: str, given: Any) -> None:
    told = await sage.json(path, {"message": "x", "plugin_name": "summarize", "dataset": given})
    assert (told["status"], told["param"]) == (400, "dataset")
    assert "100" in told["response"]
    assert sage.shelf.searches == []


@pytest.mark.anyio
async def test_the_text_of_a_questions_files_is_bounded(sage: Sage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "MOST_TEXT", 10)
    for texts, status in ((("12345",), 200), (("12345", "123456"), 400)):
        files = [("file", (f"{number}.txt", text)) for number, text in enumerate(texts)]
        told = (await sage.http.post("/server/query", data={"message": "x"}, files=files)).json()
        assert told["status"] == status
    assert (told["param"], told["error"]) == ("file", "context_length_exceeded")
    assert sage.fake.engines[Task.CHAT].started == 1
