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
