"""What files are called: shown as the client said it, in one line, and never a path."""

import time

import pytest

from server.jobs.files.names import shown_name


def test_a_name_as_long_as_a_body_takes_no_time() -> None:
    """Of this thread: what else the machine does is not counted."""
    long = "x" * 20_000_000 + ".txt"
    begun = time.thread_time()
    assert shown_name(long) == "x" * 251 + ".txt"
    assert time.thread_time() - begun < 1


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("notes.txt", "notes.txt"),
        ("Übersicht 2026 – ½.pdf", "Übersicht 2026 – ½.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\notes.txt", "notes.txt"),
        ("a/b/", "b"),
        ("/", "file"),
        ("", "file"),
        ("..", "file"),
        (" . ", "file"),
        (".profile", ".profile"),
        ("a\0b.txt", "a_b.txt"),
        ("a\r\nSet-Cookie: b.txt", "a__Set-Cookie: b.txt"),
        ("a\u2028b\x85c", "a_b_c"),
        ('say "hi"; x=1.txt', 'say "hi"; x=1.txt'),
        ("photo\u202egpj.exe", "photo_gpj.exe"),
        ("half \ud800.txt", "half _.txt"),
        ("👩\u200d💻.txt", "👩\u200d💻.txt"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
        ("x" * 300, "x" * 255),
        ("x." + "y" * 300, "x." + "y" * 253),
    ],
)
def test_a_name_is_one_line_without_folders(sent: str, shown: str) -> None:
    assert shown_name(sent) == shown
