"""What is ready together leaves together, nothing waits that need not, and a slow client changes neither."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from server.api.bursts import MOST_BYTES, send_bursts
from server.api.steps import Begun

pytestmark = pytest.mark.anyio


class Wire:
    """What was written, each piece with whether more comes. While `slow`, a write waits."""

    def __init__(self) -> None:
        self.pieces: list[tuple[bytes, bool]] = []
        self.free = asyncio.Event()
        self.free.set()
        self.writing = 0

    async def write(self, body: bytes, more: bool) -> None:
        self.writing += 1
        try:
            await self.free.wait()
        finally:
            self.writing -= 1
        self.pieces.append((body, more))


class Source:
    """Yields chunks as they are given to it; b"." is a wait for `go_on`, and an exception is raised."""

    def __init__(self, *items: bytes | BaseException) -> None:
        self.items = items
        self.waiting = asyncio.Event()
        self.go_on = asyncio.Event()
        self.cancelled = False
        self.made: list[bytes] = []

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        for item in self.items:
            if isinstance(item, BaseException):
                raise item
            if item == b".":
                self.waiting.set()
                try:
                    await self.go_on.wait()
                except asyncio.CancelledError:
                    self.cancelled = True
                    raise
                self.go_on.clear()
                continue
            self.made.append(item)
            yield item


async def test_chunks_that_are_ready_leave_together_and_the_first_by_itself() -> None:
    wire = Wire()
    await send_bursts(Source(b"a", b"b", b"c", b"d").chunks(), wire.write)
    assert wire.pieces == [(b"a", True), (b"bcd", False)]


async def test_the_first_chunk_leaves_before_the_second_is_made() -> None:
    source, made = Source(b"a", b"b"), list[list[bytes]]()

    async def write(body: bytes, more: bool) -> None:
        made.append(list(source.made))

    await send_bursts(source.chunks(), write)
    assert made[0] == [b"a"]


async def test_nothing_that_is_ready_waits_for_what_is_not() -> None:
    wire, source = Wire(), Source(b"a", b"b", b"c", b".", b"d", b".", b"e")
    sending = asyncio.create_task(send_bursts(source.chunks(), wire.write))
    await source.waiting.wait()
    assert wire.pieces == [(b"a", True), (b"bc", True)]
    source.waiting.clear()
    source.go_on.set()
    await source.waiting.wait()
    assert wire.pieces[2:] == [(b"d", True)]
    source.go_on.set()
    await sending
    assert wire.pieces[3:] == [(b"e", False)]


async def test_a_burst_is_bounded() -> None:
    wire, half = Wire(), b"x" * (MOST_BYTES // 2)
    await send_bursts(Source(b"a", half, half, half).chunks(), wire.write)
    assert [len(body) for body, _ in wire.pieces] == [1, MOST_BYTES, MOST_BYTES // 2]


async def test_an_empty_stream_has_an_end() -> None:
    wire = Wire()
    await send_bursts(Source().chunks(), wire.write)
    assert wire.pieces == [(b"", False)]


@pytest.mark.parametrize("waits", [(), (b".",)])
async def test_what_came_before_an_error_is_written_before_it_is_raised(waits: tuple[bytes, ...]) -> None:
    wire, source = Wire(), Source(b"a", b"b", *waits, ValueError("broken"))
    source.go_on.set()
    with pytest.raises(ValueError, match="broken"):
        await send_bursts(source.chunks(), wire.write)
    assert b"".join(body for body, _ in wire.pieces) == b"ab"
    assert all(more for _, more in wire.pieces)


async def test_what_a_slow_client_has_not_read_is_written_before_an_error_is_raised() -> None:
    wire, broken = Wire(), asyncio.Event()

    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"a"
        wire.free.clear()
        yield b"b"
        await broken.wait()
        raise ValueError("broken")

    sending = asyncio.create_task(send_bursts(chunks(), wire.write))
    while not wire.writing:
        await asyncio.sleep(0)
    broken.set()
    for _ in range(10):
        await asyncio.sleep(0)
    wire.free.set()
    with pytest.raises(ValueError, match="broken"):
        await sending
    assert wire.pieces == [(b"a", True), (b"b", True)]


async def test_a_cancellation_arrives_where_the_chunks_wait_even_if_the_client_is_slow() -> None:
    wire, source = Wire(), Source(b"a", b"b", b".")
    sending = asyncio.create_task(send_bursts(source.chunks(), wire.write))
    await asyncio.sleep(0)
    assert wire.pieces == [(b"a", True), (b"b", True)]
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert source.cancelled

    wire, source = Wire(), Source(b"a", b".", b"b", b".")
    source.go_on.set()
    sending = asyncio.create_task(send_bursts(source.chunks(), wire.write))
    await asyncio.sleep(0)
    wire.free.clear()
    await source.waiting.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert source.cancelled
    assert wire.writing == 0


async def test_a_time_budget_ends_the_wait_and_not_the_stream_of_a_slow_client() -> None:
    """The budget's cancellation comes while a write is held up; it is the generator's, which goes on."""
    wire = Wire()

    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"a"
        wire.free.clear()
        yield b"b"
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            wire.free.set()
            yield b"c"

    await send_bursts(chunks(), wire.write)
    assert wire.pieces == [(b"a", True), (b"b", True), (b"c", False)]


async def test_a_slow_client_slows_the_chunks_down() -> None:
    wire, source = Wire(), Source(b"a", b"b", b".", b"c", b".", b"d")
    wire_blocked = asyncio.create_task(send_bursts(source.chunks(), wire.write))
    await source.waiting.wait()
    source.waiting.clear()
    wire.free.clear()
    source.go_on.set()
    await source.waiting.wait()  # c is being written, which waits for the client
    source.go_on.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert wire.writing == 1
    wire.free.set()
    await wire_blocked
    assert b"".join(body for body, _ in wire.pieces) == b"abcd"
    assert [more for _, more in wire.pieces] == [True, True, True, False]


async def test_what_writing_raises_comes_out() -> None:
    source = Source(b"a", b"b", b".", b"c")

    async def write(body: bytes, more: bool) -> None:
        if body == b"b":
            raise OSError("the wire is cut")

    sending = asyncio.create_task(send_bursts(source.chunks(), write))
    await source.waiting.wait()
    source.go_on.set()
    with pytest.raises(OSError, match="cut"):
        await sending


async def test_what_does_not_wait_is_done_at_once() -> None:
    async def ready() -> int:
        return 3

    async def broken() -> int:
        raise ValueError

    begun = Begun(ready())
    assert begun.done
    assert begun.result() == 3
    failed = Begun(broken())
    assert failed.done
    with pytest.raises(ValueError):  # noqa: PT011 - the one above
        failed.result()


async def test_what_waits_goes_on_when_it_is_awaited() -> None:
    go_on = asyncio.Event()

    async def waits() -> int:
        await go_on.wait()
        await asyncio.sleep(0)
        return 4

    begun = Begun(waits())
    assert not begun.done
    go_on.set()
    assert await begun.outcome() == 4
