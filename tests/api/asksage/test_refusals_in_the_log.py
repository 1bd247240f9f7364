"""The log's line has the status that the body tells, where HTTP's is 200."""

import logging

import pytest

from tests.api.asksage.conftest import Town, said

pytestmark = pytest.mark.anyio
NOBODYS = "0b6c1d1e-1111-4222-8333-444455556666"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/user/get-chat-session", {"session_id": NOBODYS}, 404),
        ("/user/append-chat", {"session_id": NOBODYS}, 400),
        ("/user/update-chat-session-json", {"session_id": NOBODYS, "json_data": []}, 400),
        ("/user/update-chat-session-title", {"session_id": NOBODYS, "new_title": "x"}, 404),
        ("/user/copy-chat", {"chat_id": NOBODYS, "email": "bob@example.org"}, 400),
        ("/user/delete-dataset", {"dataset": "nothing"}, 404),
        ("/server/query", {"message": "x", "live": 7}, 400),
        ("/user/create-chat-session", {"title": "x"}, 200),
    ],
)
async def test_the_logs_line_tells_the_bodys_status(
    town: Town, caplog: pytest.LogCaptureFixture, path: str, body: dict[str, object], status: int
) -> None:
    caplog.set_level(logging.INFO, "sagehold.access")
    await said(town.ada, path, body, status)
    [facts] = [vars(record)["request"] for record in caplog.records if record.name == "sagehold.access"]
    assert facts["status"] == status
