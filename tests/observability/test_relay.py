"""What libraries print becomes JSON lines, each whole, whatever they print and whenever they die."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from server.observability.relay import LONGEST, Output, parts, write_all

ROOT = Path(__file__).parents[2]


def read(*data: bytes) -> list[dict[str, Any]]:
    output = Output("worker")
    lines = [line for piece in data for line in output.feed(piece)] + list(output.end())
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 and len(line) <= LONGEST for line in lines)
    return [json.loads(line) for line in lines]


def messages(*data: bytes) -> list[str]:
    return [line["message"] for line in read(*data)]


def test_a_printed_line_names_its_process_and_its_level_is_guessed() -> None:
    plain, warned, failed = read(b"hello\nUserWarn", b"ing: no\nsagehold: port 80 is in use\n")
    assert plain.pop("time")
    assert plain == {
        "level": "info",
        "logger": "output",
        "process": "worker",
        "request_id": "-",
        "message": "hello",
    }
    assert (warned["level"], failed["level"]) == ("warning", "error")


def test_a_log_line_passes_and_other_json_does_not_pretend_to_be_one() -> None:
    logged = b'{"time":"now","level":"info","message":"m"}\n'
    output = Output("worker")
    assert list(output.feed(logged)) == [logged]
    assert messages(b'{"level": "info"}\n{"half\n') == ['{"level": "info"}', '{"half']


def test_a_trace_is_one_line() -> None:
    trace = 'Traceback (most recent call last):\n  File "x.py", line 1, in y\n    z()\nValueError: no'
    first, second = read(trace.encode()[:50], trace.encode()[50:] + b"\nafter\n")
    assert (first["level"], first["message"]) == ("error", trace)
    assert second["message"] == "after"


def test_a_stack_of_native_code_is_one_line() -> None:
    assert messages(b"!!! Segfault !!!\n  File a\n  File b\nnext\n") == ["!!! Segfault !!!\n  File a\n  File b", "next"]


def test_a_record_of_vllms_is_one_line_with_its_level_and_process() -> None:
    head = "(EngineCore pid=12) ERROR 11-26 04:53:28 [core.py:7] "
    found = read(f"{head}failed\r\n{head}Traceback:\r\n{head}  why\n{head}again\n".encode())
    assert [line["message"] for line in found] == ["failed\nTraceback:\n  why", "again"]
    for line in found:
        assert (line["level"], line["process"], line["pid"], line["at"]) == ("error", "EngineCore", 12, "core.py:7")


def test_a_progress_bar_and_colours_leave_what_a_screen_would_show() -> None:
    assert messages(b"  0%\r 50%\r100%\n\x1b[31mred\x1b[0m\n") == ["100%", "red"]


def test_strange_bytes_and_an_endless_line_come_through() -> None:
    assert messages(b"\xff\x00\x1b]0;title\x07\n") == ["�\x00\x1b]0;title\x07"]
    assert "".join(messages(b"x" * 200_000)) == "x" * 200_000


def test_json_that_is_too_deep_or_of_another_charset_is_no_log_line() -> None:
    """The relay must not end of what a library prints: every process would lose its standard error with it."""
    deep = '{"a":' * 10_000 + "1" + "}" * 10_000
    assert "".join(messages(deep.encode() + b"\n")) == deep
    [line] = read('{"time":1,"level":2,"message":3}'.encode("utf-16-le") + b"\n")
    assert line["logger"] == "output"


def test_a_line_is_written_whole_where_the_file_does_not_wait() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    line = b"x" * 1_000_000 + b"\n"
    writer = threading.Thread(target=write_all, args=(writing, line))
    writer.start()
    got = b""
    while len(got) < len(line):
        got += os.read(reading, 1 << 16)
    writer.join()
    os.close(reading)
    os.close(writing)
    assert got == line


def test_a_long_line_is_divided_and_nothing_is_lost() -> None:
    text = "".join(f"line {number} with \u00e4 and \\ and \x01\n" for number in range(2000))
    lines = parts({"level": "error", "message": "why", "exception": text})
    read_back = [json.loads(line) for line in lines]
    assert all(len(line) <= LONGEST for line in lines)
    assert "".join(line["exception"] for line in read_back) == text
    assert [line["part"] for line in read_back] == list(range(1, len(lines) + 1))
    assert {(line["parts"], line["message"]) for line in read_back} == {(len(lines), "why")}


PROGRAM = """
import ctypes, logging, os, subprocess, sys, warnings
from server.observability import logs, raw_output
output = raw_output.capture()
logs.configure_logging("info", "json", output.stderr)
print("printed")
ctypes.CDLL(None).puts(b"from C")
ctypes.CDLL(None).fflush(None)
warnings.warn("of the past")
logging.getLogger("server.x").info("logged %s", "\\ud800\\nFAKE")
logging.getLogger("server.x").info("%d", "wrong call")
child = '''
import logging, warnings
from server.observability import logs
logs.configure_child("child")
warnings.warn("of a child")
logging.getLogger("y").error("child's line")
raise RuntimeError("child's end")
'''
with raw_output.output_of("child") as end:
    subprocess.run([sys.executable, "-c", child], stdout=end, stderr=end)
"""


def program(end: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + end], capture_output=True, text=True, env=environment, check=False
    )


def test_every_line_of_a_process_and_its_child_is_json() -> None:
    ran = program("raise KeyError('the end')")
    assert ran.returncode == 1
    assert ran.stdout == ""
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    said = {line["message"].splitlines()[0]: line for line in lines}
    assert {"printed", "from C", "logged \ud800", "child's line"} <= said.keys()
    assert said["printed"]["process"] == "server"
    assert said["child's line"]["process"] == "child"
    assert [line["logger"] for line in lines if "of the past" in line["message"]] == ["py.warnings"]
    assert [line["process"] for line in lines if "of a child" in line["message"]] == ["child"]
    assert any("could not be written" in line["message"] and line["level"] == "error" for line in lines)
    uncaught = {line["exception"].splitlines()[-1] for line in lines if line["message"] == "uncaught exception"}
    assert uncaught == {"KeyError: 'the end'", "RuntimeError: child's end"}


def test_what_was_printed_before_a_kill_is_not_lost() -> None:
    ran = program("print('last words', flush=True)\nos.kill(os.getpid(), 9)")
    assert ran.returncode == -9
    assert "last words" in [json.loads(line)["message"] for line in ran.stderr.splitlines()]
