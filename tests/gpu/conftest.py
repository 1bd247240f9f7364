"""One run of the acceptance's stands for all these tests. Without a GPU they are skipped, and say so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.acceptance import gpu
from scripts.acceptance.setting import Setting
from scripts.acceptance.stands import ServerStands
from server.settings import Settings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if gpu.devices():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="NOT TESTED: NVML tells of no NVIDIA GPU on this machine"))


@pytest.fixture(scope="session")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    models: Path = Settings().models_dir.resolve()
    return Setting(models_dir=models, work=tmp_path_factory.mktemp("acceptance"), gpu=True)


@pytest.fixture(scope="session")
def stands(setting: Setting) -> Iterator[ServerStands]:
    made = ServerStands(setting)
    try:
        yield made
    finally:
        made.end()
