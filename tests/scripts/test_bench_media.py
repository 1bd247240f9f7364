"""The bench of pictures, transcripts and voices: what it compares, its goals, its table, and its client."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from scripts.benchmarks import media_others
from scripts.benchmarks.media_client import Client
from scripts.benchmarks.media_figures import Sample, markdown, rows
from scripts.benchmarks.media_goals import AIMS, BEGIN, BESIDE, COMPARISONS, DIRECT, END, OURS, Goal, goals_of
from scripts.benchmarks.media_sounds import SHORT, TOGETHER, joined, long_text
from scripts.benchmarks.media_works import BY_NAME, WORKS, chosen
from scripts.quality.clips import RATE

REPOSITORY = Path(__file__).resolve().parents[2]


# ---------------------------------------------------------------- what is compared


def test_every_comparison_is_of_measures_that_its_sides_take() -> None:
    for comparison in COMPARISONS:
        for measure, side in (comparison.above, comparison.below):
            work = BY_NAME[measure.removesuffix(".first")]
            assert measure == work.name or work.first, comparison.name
            assert side in (OURS, BESIDE, *work.direct), comparison.name


def test_every_aim_is_of_a_comparison_and_the_gpus_page_has_one_for_each() -> None:
    known = {comparison.name for comparison in COMPARISONS}
    assert len(known) == len(COMPARISONS)
    assert AIMS.keys() <= known
    assert goals_of(REPOSITORY / "docs" / "gpu.md").keys() >= AIMS.keys()


def test_works_are_chosen_by_name_and_by_kind() -> None:
    assert chosen("") == list(WORKS)
    assert [work.name for work in chosen("say-long, picture")] == ["picture", "say-long"]
    assert {work.kind for work in chosen("speech")} == {"speech"}
    with pytest.raises(LookupError, match="no work sing"):
        chosen("sing,picture")


# ---------------------------------------------------------------- goals


def page(tmp_path: Path, rows: str) -> Path:
    file = tmp_path / "gpu.md"
    file.write_text(
        f"| `picture` | ≥ 9 |\n{BEGIN}\n| compared | goal |\n|---|---|\n{rows}\n{END}\n| `say-long` | ≥ 9 |\n"
    )
    return file


def test_goals_are_read_between_the_marks_only(tmp_path: Path) -> None:
    found = goals_of(page(tmp_path, "| `high-by-low` | ≤ 3 | why |\n| `hear-at-once` | ≥ 1.25 | why |"))
    assert found == {"high-by-low": Goal("≤", 3.0), "hear-at-once": Goal("≥", 1.25)}


@pytest.mark.parametrize(("text", "said"), [("| `dance` | ≥ 1 | x |", "dance"), ("", "empty")])
def test_goals_for_what_is_not_measured_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(LookupError, match=said):
        goals_of(page(tmp_path, text))


def test_a_goal_is_met_at_its_bound_and_missed_by_a_share_of_it() -> None:
    assert [Goal("≥", 1.2).verdict(value) for value in (1.2, 0.9)] == ["met", "missed by 25%"]
    assert [Goal("≤", 3.0).verdict(value) for value in (3.0, 4.5)] == ["met", "missed by 50%"]


# ---------------------------------------------------------------- the table


def samples(work: str, **sides: list[float]) -> list[Sample]:
    names = {"ours": OURS, "beside": BESIDE, "direct": DIRECT}
    return [
        Sample(work, names[side], number, {work: value}, 0.0)
        for side, values in sides.items()
        for number, value in enumerate(values)
    ]


def test_a_row_has_seconds_of_each_side_and_ratios_by_round() -> None:
    (row,) = rows(
        samples("picture", ours=[1.0, 2.0], beside=[4.0, 2.0], direct=[1.0, 1.0]), {"picture": Goal("≥", 0.8)}
    )
    assert (row.ours.median, row.older and row.older.median, row.theirs and row.theirs.median) == (1.5, 3.0, 1.0)
    assert (row.ratio.low, row.ratio.high) == (0.5, 1.0)
    assert row.older_ratio is not None
    assert (row.older_ratio.low, row.older_ratio.high) == (0.25, 0.5)
    assert row.verdict == "missed by 6%"


def test_two_works_of_one_server_are_compared_also_on_the_server_beside() -> None:
    taken = [
        *samples("pictures-in-one", ours=[2.0], beside=[2.0]),
        *samples("pictures-at-once", ours=[2.2], beside=[6.0]),
    ]
    (row,) = rows(taken, AIMS)
    assert row.name == "pictures-at-once-by-one"
    assert row.ours.median == 2.2
    assert row.ratio.median == pytest.approx(1.1)
    assert row.older_ratio is not None
    assert row.older_ratio.median == pytest.approx(3.0)
    assert row.theirs is None
    assert row.verdict == "met"


def test_what_only_the_server_beside_can_be_held_against_has_its_seconds_and_no_second_ratio() -> None:
    (row,) = rows(samples("hear-short-behind-long", ours=[0.5], beside=[1.0]), AIMS)
    assert (row.ours.median, row.older and row.older.median) == (0.5, 1.0)
    assert (row.ratio.median, row.older_ratio) == (2.0, None)


def test_a_work_of_fewer_rounds_is_compared_by_the_rounds_that_both_have() -> None:
    taken = [*samples("hear-high", ours=[4.0]), *samples("hear-long-whole", ours=[2.0, 1.0])]
    (row,) = rows(taken, AIMS)
    assert (row.name, row.ratio.median, row.ratio.rounds) == ("high-by-low", 2.0, 1)


def test_the_table_tells_aims_and_words_heard_wrong() -> None:
    taken = [
        Sample("hear-short", OURS, 0, {"hear-short": 0.5}, 0.0, wrong=0.125),
        Sample("hear-short", DIRECT, 0, {"hear-short": 1.0}, 0.2, wrong=0.0),
    ]
    table = markdown(rows(taken, {"hear-short": Goal("≥", 1.5)}), taken, {"rounds": 1})
    assert "| 5.5 s of speech, `low` | 0.500 | 1.000 | 2.00 | ≥ 1.5 | met |" in table
    assert "| hear-short | 12.5% | 0.0% |" in table
    assert "in 1 of 2 measurements" in table
    assert "- rounds: 1" in table


def test_chat_and_starts_are_told_from_the_files_of_their_own_benches() -> None:
    spread = {"median": 60.0, "low": 60.0, "high": 60.0, "rounds": 1}
    chat = {
        "summary": [
            {"streams": 16, "side": "sagehold", "throughput": spread, "throughput_ratio": spread | {"median": 0.91}},
            {"streams": 16, "side": "vLLM", "throughput": spread},
            {"streams": 16, "side": "vLLM, our OpenMP", "throughput": spread | {"median": 66.0}},
        ]
    }
    start = {"seconds": {"sagehold": [20.0], "sagehold, chat only": [12.0], "vLLM": [40.0]}}
    lines = media_others.table(chat, start).splitlines()[2:]
    assert lines == [
        "| chat, 16 streams, tok/s | 60.0 | 66.0 | 0.91 | ≥ 1 | missed by 9% |",
        "| start to ready, chat alone, s; its time by vLLM's | 12.0 | 40.0 | 0.30 | ≤ 0.3 | met |",
        "| start to ready, everything, s; its time by vLLM's | 20.0 | 40.0 | 0.50 | ≤ 0.45 | missed by 11% |",
    ]
    assert media_others.table(None, None) == ""


def test_chats_without_the_same_openmp_settings_are_another_comparison() -> None:
    spread = {"median": 60.0, "low": 60.0, "high": 60.0, "rounds": 1}
    with pytest.raises(LookupError, match="--same-openmp"):
        media_others.table({"summary": [{"streams": 1, "side": "sagehold", "throughput": spread}]}, None)


# ---------------------------------------------------------------- texts and recordings


def test_texts_at_once_are_different_ones_and_a_long_one_begins_with_a_short_sentence() -> None:
    assert len(set(SHORT)) == TOGETHER
    assert len(long_text().split(". ")[0].split()) == 4


def test_a_recording_is_of_whole_sentences_and_as_near_as_they_come_to_its_length() -> None:
    sentences = [np.ones(round(seconds * RATE)) for seconds in (2.0, 3.0, 4.0)]
    sound, count = joined(sentences, 5.5)
    assert (sound.size, count) == (round(5.25 * RATE), 2)
    assert joined(sentences, 0.5)[1] == 1
    assert joined(sentences, 100.0)[1] == 3


# ---------------------------------------------------------------- the client


class Handler(BaseHTTPRequestHandler):
    """A server of one picture too few, of a transcript in two pieces, and of a text that it refuses to speak.

    A recording of "endless" has a segment again and again, until its client hangs up, which `hung_up` tells.
    """

    protocol_version = "HTTP/1.1"
    hung_up = threading.Event()

    def do_POST(self) -> None:
        if b"endless" in self.rfile.read(int(self.headers["content-length"])):
            self.send_response(200)
            self.send_header("connection", "close")
            self.end_headers()
            with suppress(OSError):
                while True:
                    self.wfile.write(b'data: {"type": "transcript.text.delta", "delta": "red"}\n\n')
                    self.hung_up.wait(0.001)
            self.close_connection = True
            self.hung_up.set()
            return
        status, kind = 200, "application/json"
        if self.path == "/v1/images/generations":
            data = json.dumps({"data": [{"b64_json": "AA=="}]}).encode()
        elif self.path == "/v1/audio/transcriptions":
            kind = "text/event-stream"
            events = [
                {"type": "transcript.text.delta", "delta": "red"},
                {"type": "transcript.text.done", "text": "red heart"},
            ]
            data = "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()
        else:
            status, data = 503, b"no voice"
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library names it
        pass


@contextmanager
def client_of_a_stand_in() -> Iterator[Client]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    models = {"pictures": "p", "transcription": "t", "speech": "s"}
    client = Client(f"http://127.0.0.1:{server.server_address[1]}", models, connections=2)
    try:
        yield client
    finally:
        client.close()
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_answer_that_is_not_what_was_asked_for_is_no_measurement() -> None:
    with client_of_a_stand_in() as client:
        with pytest.raises(ValueError, match="1 pictures came instead of 8"):
            client.draw(0.0, prompt="red heart", count=8, size=(64, 64), steps=12, seed=0)
        with pytest.raises(ValueError, match="/v1/audio/speech answered 503: no voice"):
            client.say(0.0, text="Good morning.")


def test_a_streamed_transcript_has_a_first_piece_and_its_whole_text() -> None:
    with client_of_a_stand_in() as client:
        answers = client.all([partial(client.hear, data=b"RIFF", quality="low", stream=True)] * 2)
    assert [answer.text for answer in answers] == ["red heart"] * 2
    assert all(0 < answer.first <= answer.seconds for answer in answers)


def test_a_recording_is_heard_while_others_are_and_its_client_then_hangs_up() -> None:
    Handler.hung_up.clear()
    with client_of_a_stand_in() as client:
        with client.hearing(b"endless", "low"):
            answers = client.all([partial(client.hear, data=b"RIFF", quality="low", stream=True)])
            assert not Handler.hung_up.is_set()
        assert Handler.hung_up.wait(60)
    assert answers[0].text == "red heart"
