"""Imports without the garbage collector."""

import gc
import importlib
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.engines import heap


@pytest.fixture(scope="module", autouse=True)
def _frozen_afterwards() -> Iterator[None]:
    """As tests/conftest.py had it."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module that was never imported; it makes a thousand lists."""
    (tmp_path / "made_of_lists.py").write_text("kept = [[number] for number in range(1000)]\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "made_of_lists"
    sys.modules.pop("made_of_lists", None)


class Ring:
    def __init__(self) -> None:
        self.itself = self


def test_what_is_imported_in_the_block_is_not_looked_at_again(module: str) -> None:
    before = gc.get_freeze_count()
    with heap.permanent():
        assert not gc.isenabled()
        importlib.import_module(module)
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + 1000


def test_a_block_that_imports_nothing_new_leaves_garbage_to_the_collector(module: str) -> None:
    """As the second load of a model does, whose predecessor is a ring that waits to be collected."""
    with heap.permanent():
        importlib.import_module(module)
    ring = Ring()
    left = weakref.ref(ring)
    del ring
    with heap.permanent():
        importlib.import_module(module)
    gc.collect()
    assert left() is None


def test_a_failed_import_leaves_the_collector_as_it_was() -> None:
    with pytest.raises(ImportError), heap.permanent():
        raise ImportError
    assert gc.isenabled()
    gc.disable()
    with heap.permanent():
        pass
    assert not gc.isenabled()


def test_a_model_that_was_there_when_the_server_settled_is_given_back_all_the_same() -> None:
    """Its ring is frozen then, and no collection looks at what is frozen."""
    ring = Ring()
    left = weakref.ref(ring)
    heap.settle(models=True)
    del ring
    gc.collect()
    assert left() is not None
    heap.thaw(models=False)
    assert left() is None
    assert gc.get_freeze_count() > 0


def test_as_long_as_another_model_is_there_nothing_is_frozen_for_good() -> None:
    one, other = Ring(), Ring()
    left = weakref.ref(other)
    heap.settle(models=True)
    del one
    heap.thaw(models=True)
    del other
    heap.thaw(models=False)
    assert left() is None


def test_what_settled_without_a_model_stays_frozen() -> None:
    """By a ring, as no count tells: what nothing refers to any more leaves the frozen heap by itself."""
    ring = Ring()
    left = weakref.ref(ring)
    heap.settle(models=False)
    del ring
    heap.thaw(models=True)
    assert left() is not None
