"""Imports without the garbage collector."""

import gc
from collections.abc import Iterator

import pytest

from server.engines.vllm import heap


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


def test_what_is_made_in_the_block_is_not_looked_at_again() -> None:
    before = gc.get_freeze_count()
    with heap.permanent():
        assert not gc.isenabled()
        kept = [[number] for number in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + len(kept)


def test_a_failed_import_leaves_the_collector_as_it_was() -> None:
    with pytest.raises(ImportError), heap.permanent():
        raise ImportError
    assert gc.isenabled()
    gc.disable()
    with heap.permanent():
        pass
    assert not gc.isenabled()
