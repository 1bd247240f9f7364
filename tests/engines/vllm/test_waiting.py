"""vLLM's message queues without spinning; see server/engines/vllm/waiting.py."""

import threading
from typing import Any

import pytest

from server.engines.vllm import waiting


def test_a_reader_sleeps_until_it_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.distributed.device_communicators import shm_broadcast

    yields: list[None] = []
    monkeypatch.setattr(shm_broadcast, "sched_yield", lambda: yields.append(None))
    monkeypatch.setattr(shm_broadcast, "SpinCondition", shm_broadcast.SpinCondition)  # put back afterwards
    waiting.without_spinning()
    writer = shm_broadcast.MessageQueue(1, 1, max_chunk_bytes=1024, max_chunks=32)
    reader = shm_broadcast.MessageQueue.create_from_handle(writer.export_handle(), 0)
    ready = threading.Thread(target=reader.wait_until_ready)
    ready.start()
    writer.wait_until_ready()
    ready.join()
    read: list[int] = []
    thread = threading.Thread(target=lambda: read.extend(reader.dequeue() for _ in range(20)))
    thread.start()
    for number in range(20):
        writer.enqueue(number)
    thread.join()
    assert read == list(range(20))
    assert not yields
    for queue in (writer, reader):
        close(queue)


def test_no_word_is_lost_of_messages_that_follow_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """vLLM's own sockets drop what comes within a millisecond of the last word, and a step is two messages."""
    from vllm.distributed.device_communicators import shm_broadcast

    monkeypatch.setattr(shm_broadcast, "SpinCondition", shm_broadcast.SpinCondition)  # put back afterwards
    waiting.without_spinning()
    asking, answering = (shm_broadcast.MessageQueue(1, 1, max_chunk_bytes=1024, max_chunks=32) for _ in range(2))
    asked, answered = (
        shm_broadcast.MessageQueue.create_from_handle(queue.export_handle(), 0) for queue in (asking, answering)
    )
    ready = [threading.Thread(target=queue.wait_until_ready) for queue in (asked, answered)]
    for thread in ready:
        thread.start()
    asking.wait_until_ready()
    answering.wait_until_ready()
    for thread in ready:
        thread.join()
    for writer, reader in ((asking, asked), (answering, answered)):
        # `wait_until_ready` does not wait for these two: what is said before they have met is lost.
        while not reader._spin_condition.local_notify_socket.poll(10):
            writer._spin_condition.notify()
        reader._spin_condition.poller = Listener(reader._spin_condition.poller)

    def answer() -> None:
        for _ in range(100):
            answering.enqueue(asked.dequeue())

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        for number in range(100):
            asking.enqueue(number)
            assert answered.dequeue() == number
    finally:
        thread.join()
        for queue in (asking, answering, asked, answered):
            close(queue)


class Listener:
    """A reader's poller, with which it finds no message that it had no word of: neither we nor vLLM look meanwhile."""

    def __init__(self, poller: Any) -> None:
        self._poller = poller

    def poll(self, timeout: int | None) -> Any:
        assert timeout is not None
        events = self._poller.poll(60_000)
        assert events, "the word of a message was lost"
        return events


def close(queue: Any) -> None:
    """vLLM leaves that to the end of its processes."""
    condition = queue._spin_condition
    for socket in (
        queue.local_socket,
        condition.local_notify_socket,
        condition.read_cancel_socket,
        condition.write_cancel_socket,
    ):
        if socket is not None:
            socket.close(linger=0)
