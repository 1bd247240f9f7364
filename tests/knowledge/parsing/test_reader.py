"""The process that reads: its limits, its end, and what is believed of it."""

import asyncio
import json
import os
import platform
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from server.errors import UnreadableDocument
from server.knowledge.parsing import reader
from server.knowledge.parsing.bounds import Bounds
from server.knowledge.parsing.child import Order
from server.knowledge.parsing.parsed import Block
from tests.knowledge.parsing.parsing import blocks_of
from tests.knowledge.parsing.samples import SAMPLES, pdf_of

pytestmark = pytest.mark.anyio
MEMORY = 256 * 2**20
Write = Callable[[bytes], Path]
Replace = Callable[[str], list[int]]


@pytest.fixture
def document(tmp_path: Path) -> Write:
    def write(data: bytes) -> Path:
        path = tmp_path / "secret-place"
        path.write_bytes(data)
        return path

    return write


async def read(path: Path, name: str, **more: Any) -> Sequence[Block]:
    return await reader.read(path, name, **{"timeout": 30, "memory": MEMORY, **more})


async def test_a_document_is_read_in_a_process_of_its_own(document: Write) -> None:
    done = []
    blocks = await read(document(SAMPLES["a.pdf"]), "Leave.PDF", progress=lambda *pages: done.append(pages))
    assert blocks == blocks_of("a.pdf", SAMPLES["a.pdf"])
    assert done[-1] == (2, 2)


async def test_an_error_says_nothing_of_the_server(document: Write) -> None:
    with pytest.raises(UnreadableDocument) as raised:
        await read(document(b"PK\x03\x04 cut"), "a.docx")
    assert raised.value.message == "The file is damaged: it ends too early, or its table of contents is wrong."


async def test_too_much_memory(document: Write) -> None:
    with pytest.raises(UnreadableDocument, match="takes more memory"):
        await read(document(b"ab\n" * 7_000_000), "a.txt", memory=2**20)


async def test_too_much_text(document: Write) -> None:
    with pytest.raises(UnreadableDocument, match="more than 100 characters"):
        await read(document(b"words " * 60), "a.txt", bounds=Bounds(characters=100))


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Replace:
    """Replaces the child by a program, which is given what the child is given. The list has its process ids."""
    started: list[int] = []

    def replace(program: str) -> list[int]:
        start = asyncio.create_subprocess_exec

        async def instead(executable: str, *_: str, **options: Any) -> Process:
            process = await start(executable, "-c", program, **options)
            started.append(process.pid)
            return process

        monkeypatch.setattr(asyncio, "create_subprocess_exec", instead)
        return started

    return replace


async def test_too_much_time(document: Write, child: Replace) -> None:
    started = child("while True: pass")
    with pytest.raises(UnreadableDocument, match=r"more than 0\.2 seconds"):
        await read(document(b"x"), "a.txt", timeout=0.2)
    for process in started:  # none on a machine that is too busy to start one in that time
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


async def test_a_cancellation_ends_the_process(document: Write, child: Replace) -> None:
    started = child("""print('{"progress": [1, 2]}', flush=True)\nwhile True: pass""")
    begun = asyncio.Event()
    reading = asyncio.create_task(read(document(b"x"), "a.txt", progress=lambda *_: begun.set()))
    await begun.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


@pytest.mark.parametrize(
    "program",
    [
        "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        "pass",
        "print('no JSON')",
        "print('x' * 300_000)",
        "print('[' * 100_000)",
        """print('{"end": 0}')""",
        """print('{"block": ["x", [], null, false]}'); print('{"end": 2}')""",
        """print('{"block": ["x", [1], null, false]}'); print('{"end": 1}')""",
        """print('{"block": ["x", [], -1, false]}'); print('{"end": 1}')""",
        r"""print('{"block": ["\\ud800", [], null, false]}'); print('{"end": 1}')""",
        """print('{"block": ["' + "x" * 30_000 + '", [], null, false]}'); print('{"end": 1}')""",
    ],
)
async def test_a_child_that_was_taken_over_is_not_believed(document: Write, child: Replace, program: str) -> None:
    child(program)
    with pytest.raises(UnreadableDocument, match="can't be read: it is damaged"):
        await read(document(b"x"), "a.txt")


async def test_the_child_knows_no_secrets(document: Write, child: Replace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEHOLD_ADMIN_KEY", "secret")
    child("""import json, os, sys
print(json.dumps({"block": [json.dumps([dict(os.environ), sys.argv]), [], None, False]}))
print('{"end": 1}')""")
    (block,) = await read(document(b"x"), "Private name.txt")
    assert "secret" not in block.text
    assert "Private" not in block.text


TRIES = {
    "a socket": "import socket; socket.socket()",
    "a local socket": "import socket; socket.socket(socket.AF_UNIX)",
    "a program": "os.execv('/bin/true', ['true'])",
    "another process": "import subprocess; subprocess.run(['/bin/true'])",
    "a signal to the server": "os.kill(os.getppid(), 0)",
    "deleting": "os.unlink(target)",
    "renaming": "os.rename(target, target + '2')",
    "emptying": "os.truncate(target, 0)",
    "other rights": "os.chmod(target, 0o777)",
    "a folder": "os.mkdir(target + '3')",
    "a link": "os.symlink('/', target + '4')",
    "opening to write": "open(target, 'r+b')",
    "opening to empty": "os.open(target, os.O_RDONLY | os.O_TRUNC)",
    "a new file": "os.open(target + '5', os.O_CREAT | os.O_RDONLY)",
}


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="seccomp's numbers are known for two")
async def test_a_child_that_was_taken_over_reaches_nobody_and_changes_nothing(document: Write) -> None:
    path = document(b"kept")
    program = f"""
import json, os, sys
from server.knowledge.parsing.child import Order, confine
from server.knowledge.parsing.bounds import Bounds
from server.knowledge.parsing.child import Order
target = sys.argv[1]
confine(Order(os.getppid(), 7, 2**28, ".txt", Bounds()))
done = []
for name, code in {TRIES!r}.items():
    try:
        exec(code)
        done.append(name)
    except OSError:
        pass
print(json.dumps(done))
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(path), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert json.loads(out) == []
    assert path.read_bytes() == b"kept"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


async def test_the_child_is_confined(document: Write) -> None:
    path = document(pdf_of("x"))
    # What confines it is asked of the process itself, by the function that it calls before it reads.
    program = """
import resource, os, json
from server.knowledge.parsing.child import Order, confine
from server.knowledge.parsing.bounds import Bounds
from server.knowledge.parsing.child import Order
confine(Order(os.getppid(), 7, 2**20, ".txt", Bounds()))
try:
    os.write(os.open(os.environ["TARGET"], os.O_CREAT | os.O_WRONLY), b"x")
    wrote = True
except OSError:
    wrote = False
print(json.dumps([resource.getrlimit(resource.RLIMIT_CPU), wrote, os.nice(0)]))
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "TARGET": str(path.with_name("target"))},
    )
    out, _ = await process.communicate()
    cpu, wrote, nice = json.loads(out)
    assert cpu == [7, 8]
    assert not wrote
    assert nice >= 10


async def test_a_file_that_is_given_up_has_an_end(document: Write) -> None:
    """asyncio waits for the end of the pipe, which does not come while what is in it is not read: a document that was
    given up then stayed under way for ever. Nor is a descriptor left."""
    path = document("\n\n".join(f"Paragraph {number} of a long text. " * 20 for number in range(1200)).encode())
    order = Order(os.getpid(), 60, MEMORY, ".txt", reader.USUAL)
    before = set(Path("/proc/self/fd").iterdir())
    async with asyncio.timeout(30):
        async with reader._child(path, order) as process:
            assert process.stdout is not None
            while len(process.stdout._buffer) <= 2 * reader.LONGEST_FRAME:  # type: ignore[attr-defined]
                await asyncio.sleep(0.01)
    assert set(Path("/proc/self/fd").iterdir()) <= before
