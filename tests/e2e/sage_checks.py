"""What a client of Ask Sage's must find here, as functions of a client and nothing else: by their own assertions, so
that they also run in an environment that has the vendor's client and no pytest.
"""

import json
import string
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JAPAN = "What is the capital of Japan?"
CAPITAL = {
    "name": "get_capital",
    "description": "Get the capital of a country",
    "parameters": {
        "type": "object",
        "properties": {"country": {"type": "string", "maxLength": 30}},
        "required": ["country"],
        "additionalProperties": False,
    },
}
TOOLS = [{"type": "function", "function": CAPITAL}]
HARBOR = "The old harbor of the island is called Marigold Bay."
PAYING = "ann@example.org"
"""Of an account that pays, and has nothing."""
COMPLETION = {
    "added_obj", "embedding_down", "message", "references", "response", "status", "tool_calls", "tool_calls_unified",
    "tool_responses", "type", "usage", "uuid", "vectors_down",
}  # fmt: skip
"""The keys of an answer."""


@dataclass(frozen=True)
class Desk:
    """make: a client of an e-mail address and a key. key: with the scope inference. admin: another, with the scope
    admin. folder: for files."""

    make: Callable[[str, str], Any]
    key: str
    admin: str
    folder: Path

    @property
    def client(self) -> Any:
        return self.make("me@example.org", self.key)


def name() -> str:
    """A dataset's, which no other check has."""
    return f"check-{uuid.uuid4().hex[:8]}"


def answered(answer: Any) -> str:
    """The text of an answer that is one."""
    assert set(answer) >= COMPLETION, sorted(COMPLETION - set(answer))
    assert (answer["response"], answer["status"], answer["type"]) == ("OK", 200, "completion"), answer
    assert type(answer["status"]) is int
    uuid.UUID(answer["uuid"])
    assert isinstance(answer["message"], str)
    assert isinstance(answer["references"], str)
    assert (answer["embedding_down"], answer["vectors_down"]) == (False, False)
    return answer["message"]  # type: ignore[no-any-return]


def fine(answer: Any) -> Any:
    """What an answer that went well holds in `response`."""
    assert type(answer["status"]) is int
    assert answer["status"] == 200, answer
    return answer["response"]


def refused(construct: Callable[[], Any]) -> str:
    """What is raised instead of a client."""
    try:
        construct()
    except Exception as error:  # noqa: BLE001 (the vendor's client raises Exception itself)
        return str(error)
    raise AssertionError("a client was constructed")


def check_a_wrong_key_constructs_nothing(desk: Desk) -> None:
    assert desk.client
    assert "sk-sage-wrong" not in refused(lambda: desk.make("me@example.org", "sk-sage-wrong"))


def check_a_key_is_a_token_too(desk: Desk) -> None:
    listed = desk.make("", desk.key).get_models()
    assert (listed["object"], listed["status"]) == ("list", 200)
    assert all(isinstance(one, str) for one in listed["response"])
    assert "gpt-4o-mini" in listed["response"]
    assert [one["id"] for one in listed["data"]] == listed["response"]
    assert {one["created"] for one in listed["data"]} == {"na"}


def check_a_question_is_answered(desk: Desk) -> None:
    answer = desk.client.query(JAPAN)
    assert "Tokyo" in answered(answer)
    assert answer["references"] == ""
    assert answer["usage"] is None
    assert answer["tool_calls"] is None
    assert answer["tool_calls_unified"] == answer["tool_responses"] == []


def check_a_conversation_with_tools_over_datasets(desk: Desk) -> None:
    client = desk.client
    sets = [name(), name()]
    for one in sets:
        fine(client.add_dataset(one))
    said = [
        {"user": "me", "message": "Café is written with é."},
        {"user": "gpt", "message": "So it is."},
        {"user": "me", "message": JAPAN},
    ]
    options = {"dataset": sets, "tools": TOOLS, "reasoning_effort": "low"}
    free = client.query(said, **options, tool_choice="auto")
    answered(free)
    assert free["tool_calls"] is None or free["tool_calls"][0]["function"]["name"] == "get_capital"
    forced = client.query(said, **options, tool_choice={"type": "function", "function": {"name": "get_capital"}})
    answered(forced)
    (call,) = forced["tool_calls"]
    assert (call["type"], call["function"]["name"]) == ("function", "get_capital")
    assert call["id"]
    assert set(json.loads(call["function"]["arguments"])) == {"country"}
    assert forced["tool_calls_unified"] == forced["tool_calls"]
    for one in sets:
        fine(client.delete_dataset(one))


def check_a_file_goes_with_a_question(desk: Desk) -> None:
    file = desk.folder / "harbor.txt"
    file.write_text(f"{HARBOR}\n")
    answer = desk.client.query_with_file("What is the old harbor called?", file=str(file), dataset="none")
    assert "Marigold" in answered(answer)


def check_plugins_are_templates(desk: Desk) -> None:
    client = desk.client
    plugins = fine(client.get_plugins())
    assert plugins
    for plugin in plugins:
        assert isinstance(plugin["id"], str)
        assert isinstance(plugin["prompt_template"], str)
    plugin = next(one for one in plugins if one["prompt_template"].startswith("[["))
    tag = plugin["prompt_template"].partition("]]")[0].removeprefix("[[")
    wanted = {part for _, part, _, _ in string.Formatter().parse(plugin["prompt_template"]) if part}
    filled = dict.fromkeys(wanted, "The bakery opens at seven and closes at four.")
    assert answered(client.query_plugin(tag, **filled)).strip()
    assert client.query_plugin("NO SUCH TAG", **filled) is None
    assert answered(client.execute_plugin(plugin["plugin_name"], filled)).strip()


def check_follow_up_questions_are_a_text(desk: Desk) -> None:
    assert answered(desk.client.follow_up_questions("Tokyo is the capital of Japan.")).strip()


def check_lists_and_counts_need_no_body(desk: Desk) -> None:
    client = desk.client
    personas = fine(client.get_personas())
    assert personas[0]["id"] == 1
    assert all(isinstance(one["name"], str) and isinstance(one["description"], str) for one in personas)
    assert isinstance(fine(client.get_datasets()), list)
    assert fine(client.get_plugins())
    for counted in (client.count_monthly_tokens(), client.count_monthly_teach_tokens()):
        assert type(fine(counted)) is int
    assert isinstance(fine(client.get_user_logs()), list)


def check_tokens_are_counted(desk: Desk) -> None:
    client = desk.client
    short, long = fine(client.tokenizer("hello")), fine(client.tokenizer("hello " * 100))
    assert isinstance(short, str)
    assert 0 < int(short) < int(long)
    before = fine(client.count_monthly_tokens())
    client.query(JAPAN, dataset="none")
    assert fine(client.count_monthly_tokens()) > before


def check_a_text_is_taught_and_found(desk: Desk) -> None:
    client = desk.client
    unkept = client.train("Water boils at 100 degrees.")
    assert "tokens" in fine(unkept)
    assert unkept["embedding"]
    assert all(isinstance(one, float) for one in unkept["embedding"])
    short = name()
    fine(client.add_dataset(short))
    (full,) = (one for one in fine(client.get_datasets()) if short in one)
    before = fine(client.count_monthly_teach_tokens())
    fine(client.train(HARBOR, force_dataset=full, context="a sailor told it"))
    assert fine(client.count_monthly_teach_tokens()) > before
    found = client.query("What is the old harbor called?", dataset=full)
    assert "Marigold" in answered(found)
    assert found["references"].startswith("[1] ")
    assert HARBOR in found["references"]
    assert "a sailor told it" in found["references"]
    assert client.query("What is the old harbor called?", dataset=full, limit_references=0)["references"] == ""
    assert client.query("What is the old harbor called?", dataset="none")["references"] == ""
    fine(client.delete_dataset(full))
    assert full not in fine(client.get_datasets())


def check_a_file_is_taught_and_read(desk: Desk) -> None:
    client = desk.client
    short = name()
    fine(client.add_dataset(short))
    file = desk.folder / "harbor notes.md"
    file.write_text(f"# Harbors\n\n{HARBOR}\n")
    assert fine(client.train_with_file(str(file), short)) == "Successfully imported"
    found = client.query("What is the old harbor called?", dataset=short)
    assert "harbor notes.md" in found["references"]
    assert HARBOR in found["references"]
    read = client.file(str(file))
    assert fine(read) == "OK"
    assert isinstance(read["ret"], str)
    assert HARBOR in read["ret"]
    assert "asksage_metadata" in read["ret"]
    assert read["sent_filename"].replace(" ", "") == "harbornotes.md"
    fine(client.delete_dataset(short))


def check_datasets_are_made_shared_and_deleted(desk: Desk) -> None:
    client = desk.client
    short = name()
    assert fine(client.add_dataset(short)) == "OK"
    again = client.add_dataset(short)
    assert again["status"] == 409, again
    missing = client.assign_dataset(short, "nobody@example.org")
    assert (missing["response"], missing["status"]) == ("No account.", 410)
    assert fine(client.delete_dataset(short)) == "OK"
    gone = client.delete_dataset(short)
    assert gone["status"] == 404, gone


def check_logins_and_chats_are_kept(desk: Desk) -> None:
    client = desk.client
    for _ in range(4):
        desk.make("me@example.org", desk.key)
    logins = fine(client.get_user_logins(3))
    assert len(logins) == 3
    assert {(one["status"], one["type"]) for one in logins} == {("Success", "login")}
    assert all(one["date_time"].endswith(" GMT") and one["ip"] for one in logins)
    assert [one["id"] for one in logins] == sorted((one["id"] for one in logins), reverse=True)
    chat = {"chats": [{"user": "me", "message": "Hello"}, {"user": "gpt", "message": "Hi"}]}
    fine(client.append_chat("A greeting", chat))
    client.query(JAPAN, dataset="none")
    newest = fine(client.get_user_logs())[0]
    assert newest["completion_tokens"] > 0
    assert newest["total_tokens"] >= newest["completion_tokens"]


def check_an_administrator_counts_tokens(desk: Desk) -> None:
    assert desk.client.admin_get_all_users_with_tokens()["status"] == 403
    client = desk.make("me@example.org", desk.admin)
    users = fine(client.admin_get_all_users_with_tokens(limit=10))
    free, paying = (next(one for one in users if one["metered"] is metered) for metered in (False, True))
    assert free["tokens"] is None
    assert client.admin_update_user_tokens(free["id"], 300_000)["status"] == 409
    assert fine(client.admin_update_user_tokens(paying["id"], 300_000)) == "OK"
    assert fine(client.admin_update_user_train_tokens(paying["id"], 400_000)) == "OK"
    assert fine(client.admin_get_all_users_with_tokens(limit=1, email=PAYING)) == [
        {**paying, "tokens": 400_000, "train_tokens": 400_000}
    ]


CHECKS: dict[str, Callable[[Desk], None]] = {
    called.removeprefix("check_"): one for called, one in list(globals().items()) if called.startswith("check_")
}
