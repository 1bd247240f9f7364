"""Transparent huge pages: what the kernel grants, and what a benchmark makes of it."""

import os
from pathlib import Path

import psutil
import pytest

from scripts.benchmarks.huge_pages import HugePages, granted, granting, held


@pytest.fixture
def setting(tmp_path: Path) -> Path:
    file = tmp_path / "enabled"
    file.write_text("always [madvise] never\n")
    return file


def test_the_setting_is_read_as_the_kernel_writes_it(setting: Path) -> None:
    assert granted(setting) == HugePages.MADVISE
    assert granted(setting.with_name("no-such-kernel")) == HugePages.NEVER


def test_the_setting_is_put_back_after_a_failure(setting: Path) -> None:
    def failing() -> None:
        with granting(HugePages.NEVER, setting):
            assert setting.read_text() == "never"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert setting.read_text() == "madvise"


def test_what_is_set_already_needs_no_root(setting: Path) -> None:
    setting.chmod(0o444)
    with granting(HugePages.MADVISE, setting):
        assert setting.read_text() == "always [madvise] never\n"


def test_huge_pages_are_summed_over_the_processes_that_live(tmp_path: Path) -> None:
    for pid, kib in ((10, 4096), (11, 0), (12, 2048)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / f"{pid}/smaps_rollup").write_text(f"Rss: 9000 kB\nAnonHugePages: {kib:>9} kB\nSwap: 7 kB\n")
    assert held([10, 11, 12, 13], tmp_path) == 6 << 20


def test_the_kernel_tells_of_this_process() -> None:
    assert 0 <= held([os.getpid()]) <= psutil.Process().memory_info().rss
