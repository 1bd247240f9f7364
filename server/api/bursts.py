"""Sending what a generator yields: each chunk at once, or together what is ready together."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from server.api.steps import rest_of

MOST_BYTES = 16 * 1024
"""Of a burst, by its last chunk: beyond it a message costs little more than its bytes."""

Write = Callable[[bytes, bool], Coroutine[Any, Any, None]]
"""Writes a piece of an answer's body; the flag says whether more comes."""


async def send_each(chunks: AsyncGenerator[bytes, None], write: Write) -> None:
    """Write each chunk by itself, before the next is made; then the end of the body."""
    async for chunk in chunks:
        await write(chunk, True)
    await write(b"", False)


async def send_bursts(chunks: AsyncGenerator[bytes, None], write: Write) -> None:
    """Write what `chunks` yields, in its order, and with the last of it the end of the body.

    The first chunk leaves before the second is made. Afterwards chunks are gathered for as long as the generator yields
    without waiting, up to MOST_BYTES, and leave in one piece before it waits: the last token of a chat, its reason, its
    usage and [DONE] are one write. Raises what `chunks` raises, once everything before it is written.

    Of 64 streams whose chunks are ready, each costs 7 µs of the processor where it was 20 (docs/performance.md).
    """
    if (first := await anext(chunks, None)) is not None:
        await write(first, True)
    burst: list[bytes] = []
    size = 0
    writing: asyncio.Future[None] | None = None
    try:
        while True:
            step = anext(chunks)
            try:
                waits_for = step.send(None)
            except StopIteration as ready:
                chunk = ready.value
            except StopAsyncIteration:
                break
            except Exception:
                await write(b"".join(burst), True)
                raise
            else:
                if burst:
                    writing = _begun(write(b"".join(burst), True))
                    burst, size = [], 0
                try:
                    chunk = await rest_of(step, waits_for)
                except StopAsyncIteration:
                    break
                except Exception:
                    await _ended(writing)
                    raise
                if writing is not None:
                    await writing
                    writing = None
            burst.append(chunk)
            size += len(chunk)
            if size >= MOST_BYTES:
                await write(b"".join(burst), True)
                burst, size = [], 0
                await asyncio.sleep(0)  # others must come to their turn beside an answer that never waits
        await _ended(writing)
        await write(b"".join(burst), False)
    finally:
        if writing is not None and not writing.done():
            writing.cancel()
            await asyncio.wait([writing])


def _begun(writing: Coroutine[Any, Any, None]) -> asyncio.Future[None] | None:
    """Write without waiting; None if it is done with, as it mostly is.

    A client that reads too slowly holds a write up. It then goes on in a task of its own: the stream's own task waits
    for the next chunk, and a cancellation must arrive where the generator waits, that of a time budget above all.
    """
    try:
        waits_for = writing.send(None)
    except StopIteration:
        return None
    except Exception as error:  # noqa: BLE001 - raised where the writing is awaited, after the step that has begun
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        failed.set_exception(error)
        return failed
    return asyncio.create_task(_rest(writing, waits_for), name="write to a slow client")


async def _rest(writing: Coroutine[Any, Any, None], waits_for: Any) -> None:
    await rest_of(writing, waits_for)


async def _ended(writing: asyncio.Future[None] | None) -> None:
    if writing is not None:
        await writing
