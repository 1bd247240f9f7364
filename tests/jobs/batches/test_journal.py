import errno
import os
from pathlib import Path

import orjson
import pytest

from server.errors import StorageFull
from server.jobs.batches.executor import LineResult
from server.jobs.batches.journal import Entry, ForeignJournal, Journal


def answered(line: int, status: int = 200, body: bytes = b'{"n":1}') -> Entry:
    return Entry(line, f"c{line}", LineResult(status_code=status, request_id=f"req_{line}", body=body))


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "output.jsonl", tmp_path / "errors.jsonl"


def test_lines_have_the_api_s_form(paths: tuple[Path, Path]) -> None:
    journal = Journal(*paths, "ab")
    journal.write(
        [
            answered(1),
            answered(2, 400, b'{"error":{"message":"no"}}'),
            Entry(3, "c3", None, ("batch_expired", "Too late.")),
        ]
    )
    assert paths[0].read_bytes() == (
        b'{"id":"batch_req_ab_1","custom_id":"c1",'
        b'"response":{"status_code":200,"request_id":"req_1","body":{"n":1}},"error":null}\n'
    )
    assert [orjson.loads(line) for line in paths[1].read_bytes().splitlines()] == [
        {
            "id": "batch_req_ab_2",
            "custom_id": "c2",
            "response": {"status_code": 400, "request_id": "req_2", "body": {"error": {"message": "no"}}},
            "error": None,
        },
        {
            "id": "batch_req_ab_3",
            "custom_id": "c3",
            "response": None,
            "error": {"code": "batch_expired", "message": "Too late."},
        },
    ]
    assert (journal.completed, journal.failed) == (1, 2)


def test_a_line_is_written_once(paths: tuple[Path, Path]) -> None:
    journal = Journal(*paths, "ab")
    journal.write([answered(1), answered(1)])
    journal.write([answered(1, 500)])
    assert len(paths[0].read_bytes().splitlines()) == 1
    assert paths[1].read_bytes() == b""
    assert journal.done == 1


def test_a_body_of_several_lines_and_one_that_is_no_json_stay_in_one_line(paths: tuple[Path, Path]) -> None:
    journal = Journal(*paths, "ab")
    journal.write([answered(1, body=b'{\n "text": "a\\nb"\r\n}'), answered(2, body=b"plain\ntext\xff")])
    first, second = (orjson.loads(line)["response"]["body"] for line in paths[0].read_bytes().splitlines())
    assert (first, second) == ({"text": "a\nb"}, "plain\ntext�")


def test_what_is_done_is_read_back_with_its_use(paths: tuple[Path, Path]) -> None:
    first = Journal(*paths, "ab")
    chat = {
        "prompt_tokens": 5,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 3},
        "credits": 0.1,
    }
    response = {"input_tokens": 1, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 1}, "credits": 0.2}
    first.write(
        [
            answered(1, body=orjson.dumps({"usage": chat})),
            answered(3, body=orjson.dumps({"usage": response})),
            answered(50_000, 404),
        ]
    )
    first.close()
    again = Journal(*paths, "ab")
    assert [line for line in (1, 2, 3, 4, 49_999, 50_000, 50_001) if line in again] == [1, 3, 50_000]
    assert (again.completed, again.failed) == (2, 1)
    assert again.usage == first.usage
    assert again.usage.row() == {
        "input_tokens": 6,
        "input_tokens_details": {"cached_tokens": 3},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 15,
        "credits": "0.3",
    }


@pytest.mark.parametrize("tail", ["half", "prefix", "zeros", "zeros and a line"])
def test_a_torn_tail_is_cut_off_wherever_it_ends(paths: tuple[Path, Path], tail: str) -> None:
    journal = Journal(*paths, "ab")
    journal.write([answered(1), answered(2)])
    journal.close()
    whole = paths[0].read_bytes()
    first = whole.splitlines(keepends=True)[0]
    cut = range(len(first), len(whole)) if tail == "half" else [len(first)]
    added = {"half": b"", "prefix": b'{"id":"batch_r', "zeros": bytes(40), "zeros and a line": bytes(9) + b"\n" + first}
    for length in cut:
        paths[0].write_bytes(whole[:length] + added[tail])
        again = Journal(*paths, "ab")
        assert (1 in again, 2 in again, again.completed) == (True, False, 1)
        again.write([answered(2)])
        again.close()
        assert paths[0].read_bytes() == whole


@pytest.mark.parametrize(
    "text",
    [
        b"my notes\n",
        b'{"id":"batch_req_cd_1","custom_id":"c1","response":null,"error":null}\n',
        b'{"custom_id":"c1"}\n',
        b"notes without an end",
    ],
)
def test_a_file_that_is_something_else_is_left_as_it_is(paths: tuple[Path, Path], text: bytes) -> None:
    for path in paths:
        path.write_bytes(text)
        with pytest.raises(ForeignJournal):
            Journal(*paths, "ab")
        assert path.read_bytes() == text
        path.unlink()


def test_a_line_in_both_files_is_no_journal_of_ours(paths: tuple[Path, Path]) -> None:
    journal = Journal(*paths, "ab")
    journal.write([answered(1)])
    journal.close()
    paths[1].write_bytes(paths[0].read_bytes())
    with pytest.raises(ForeignJournal):
        Journal(*paths, "ab")


def test_a_full_disk_leaves_whole_lines_and_they_can_be_written_later(
    paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(*paths, "ab")
    journal.write([answered(1)])
    whole = paths[0].read_bytes()
    real, room = os.pwrite, [30]

    def until_full(file: int, data: memoryview, place: int) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(file, data[: room[0]], place)
        room[0] -= written
        return written

    monkeypatch.setattr(os, "pwrite", until_full)
    entries = [answered(2), answered(3, 400), answered(4)]
    with pytest.raises(StorageFull):
        journal.write(entries)
    assert paths[0].read_bytes() == whole
    assert [line in journal for line in (2, 3, 4)] == [False, False, False]
    room[0] = 10**6
    journal.write(entries)
    assert [line in journal for line in (2, 3, 4)] == [True, True, True]
    assert len(paths[0].read_bytes().splitlines()) == 3
    journal.sync()


def test_lines_that_found_room_before_the_disk_was_full_are_not_written_twice(
    paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(*paths, "ab")
    real, calls = os.pwrite, []

    def second_fails(file: int, data: memoryview, place: int) -> int:
        calls.append(place)
        if len(calls) == 2:
            raise OSError(errno.EDQUOT, "Quota exceeded")
        return real(file, data, place)

    monkeypatch.setattr(os, "pwrite", second_fails)
    with pytest.raises(StorageFull):
        journal.write([answered(1), answered(2, 400)])
    assert [line in journal for line in (1, 2)] == [True, False]
    journal.write([answered(1), answered(2, 400)])
    assert [len(path.read_bytes().splitlines()) for path in paths] == [1, 1]
