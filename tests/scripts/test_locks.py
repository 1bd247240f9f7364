"""What `scripts/check_locks` finds, by canned answers of an index."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import httpx
import pytest

from scripts.locks import __main__ as command
from scripts.locks.check import one_hash_one_version, problems
from scripts.locks.index import File, Index, Unreachable, in_folder, parse
from scripts.locks.pins import LockError, Pin, read
from scripts.locks.targets import LOCKS, Target

REQUIREMENTS = Path(__file__).parents[2] / "requirements"
Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]
A, B, C = "a" * 64, "b" * 64, "c" * 64
ON_INDEX = [
    File("torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl", A, ">=3.10"),
    File("torch-2.13.0-cp312-cp312-manylinux_2_28_x86_64.whl", B, ">=3.10"),
    File("torch-2.13.0-cp311-cp311-manylinux_2_28_aarch64.whl", C, ">=3.10"),
    File("torch-2.12.0.tar.gz", "d" * 64),
]
BOTH = LOCKS["cuda.txt"]


def pin(*hashes: str, line: str = "torch==2.13.0") -> list[Pin]:
    return read(line + "".join(f" \\\n    --hash=sha256:{one}" for one in hashes))


def test_a_wheel_for_each_python_is_right() -> None:
    assert problems(pin(A, B), BOTH, {"torch": ON_INDEX}) == []


def test_the_hash_of_another_build_is_found() -> None:
    """The fault that cuda.txt had: the hash of a wheel that the index does not have."""
    found = problems(pin("e" * 64), BOTH, {"torch": ON_INDEX})
    assert len(found) == 2
    assert "torch 2.13.0 for Python 3.11" in found[0]
    assert "no file there has its hashes" in found[0]


def test_the_hash_of_another_platform_is_named() -> None:
    (found,) = problems(pin(C), [Target(11)], {"torch": ON_INDEX})
    assert "those of torch-2.13.0-cp311-cp311-manylinux_2_28_aarch64.whl" in found


def test_one_python_may_lack_its_wheel() -> None:
    (found,) = problems(pin(A), BOTH, {"torch": ON_INDEX})
    assert "for Python 3.12" in found


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("x-1.0-py3-none-any.whl", True),
        ("x-1.0-cp38-abi3-manylinux_2_28_x86_64.whl", True),
        ("x-1.0-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", True),
        ("x-1.0-cp311-cp311-manylinux_2_34_x86_64.whl", False),
        ("x-1.0-cp311-cp311-musllinux_1_2_x86_64.whl", False),
        ("x-1.0-cp312-abi3-manylinux_2_28_x86_64.whl", False),
        ("x-1.0.tar.gz", False),
    ],
)
def test_which_files_can_be_installed(name: str, fits: bool) -> None:
    found = problems(pin(A, line="x==1.0"), [Target(11)], {"x": [File(name, A)]})
    assert (found == []) is fits


def test_a_file_for_a_newer_python_only_is_none() -> None:
    index = {"x": [File("x-1.0-py3-none-any.whl", A, ">=3.12")]}
    assert problems(pin(A, line="x==1.0"), [Target(11)], index)
    assert not problems(pin(A, line="x==1.0"), [Target(12)], index)


def test_a_pin_for_another_python_is_not_asked_for() -> None:
    line = "x==1.0 ; python_full_version < '3.12' and sys_platform == 'linux'"
    index = {"x": [File("x-1.0-cp311-cp311-linux_x86_64.whl", A)]}
    assert problems(pin(A, line=line), BOTH, index) == []


def test_an_unknown_package_and_an_index_without_hashes_are_said() -> None:
    assert "does not know the package" in problems(pin(A), [Target(11)], {"torch": []})[0]
    bare = [File(ON_INDEX[0].name, None)]
    assert "gives no SHA-256" in problems(pin(A), [Target(11)], {"torch": bare})[0]


def test_two_versions_with_one_hash_are_found_without_an_index() -> None:
    (found,) = one_hash_one_version({"cpu.txt": pin(A, line="torch==2.13.0+cpu"), "cuda.txt": pin(A, B)})
    assert "torch 2.13.0 and torch 2.13.0+cpu" in found
    assert "cpu.txt, cuda.txt" in found


def test_the_locks_in_requirements_have_no_hash_for_two_versions() -> None:
    locks = {name: read((REQUIREMENTS / name).read_text()) for name in LOCKS}
    assert one_hash_one_version(locks) == []
    for target in LOCKS["cuda.txt"]:
        wanted = [one for one in locks["cuda.txt"] if target.wants(one.marker)]
        assert len({one.name for one in wanted}) == len(wanted), f"two versions of one package for {target}"


def test_what_is_needed_for_pictures_and_for_whisper_on_gpus_is_locked() -> None:
    cuda = {one.name: str(one.version) for one in read((REQUIREMENTS / "cuda.txt").read_text())}
    assert cuda["torch"] == "2.13.0"
    assert cuda["torchvision"] == "0.28.0"
    (cublas,) = [one for one in read((REQUIREMENTS / "cuda12.txt").read_text()) if one.name == "nvidia-cublas-cu12"]
    assert cublas.version.major == 12
    # torch would load it into every process.
    assert not [name for name in cuda if name.endswith("-cu12") and name != "nvidia-cutlass-dsl-libs-cu12"]
    # The published torchvision is made for torch with CUDA.
    assert "torchvision" not in {one.name for one in read((REQUIREMENTS / "cpu.txt").read_text())}


@pytest.mark.parametrize("text", [f"torch>=2 --hash=sha256:{A}", "torch==2.13.0", f"no requirement --hash=sha256:{A}"])
def test_what_pins_nothing_is_no_lock(text: str) -> None:
    with pytest.raises(LockError):
        read(text)


HTML = f"""<html><body>
<a href="../../f/x-1.0-py3-none-any.whl#sha256={A}" data-requires-python="&gt;=3.9">x</a>
<a href="/f/x-1.1%2Bcpu-py3-none-any.whl#sha256={B}" data-yanked="broken">x</a>
<a href="/f/x-1.2-py3-none-any.whl#md5=00">x</a></body></html>"""


def test_both_forms_of_an_index_are_read() -> None:
    assert parse("text/html; charset=utf-8", HTML) == [
        File("x-1.0-py3-none-any.whl", A, ">=3.9"),
        File("x-1.1+cpu-py3-none-any.whl", B, None, True),
        File("x-1.2-py3-none-any.whl", None),
    ]
    answer = {"files": [{"filename": "x.whl", "hashes": {"sha256": A}, "requires-python": ">=3.9", "yanked": "no"}]}
    assert parse("application/vnd.pypi.simple.v1+json", json.dumps(answer)) == [File("x.whl", A, ">=3.9", True)]


def asked(
    handler: Callable[[httpx.Request], httpx.Response], *addresses: str, names: tuple[str, ...] = ("x",)
) -> dict[str, list[File]]:
    return asyncio.run(Index(addresses, httpx.MockTransport(handler)).files(names))


def test_the_first_index_that_knows_a_package_has_the_say() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "first.test" and "/y/" in request.url.path:
            return httpx.Response(404)
        name = request.url.path.split("/")[-2]
        file = {"filename": f"{name}.whl", "hashes": {"sha256": A if request.url.host == "first.test" else B}}
        return httpx.Response(200, json={"files": [file]})

    found = asked(answer, "http://first.test/simple/", "http://second.test/simple", names=("x", "y"))
    assert found == {"x": [File("x.whl", A)], "y": [File("y.whl", B)]}
    assert asked(lambda request: httpx.Response(404), "http://first.test") == {"x": []}


def test_an_index_out_of_reach_is_said_so() -> None:
    def dead(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route to host")

    with pytest.raises(Unreachable, match=r"index\.test: no route to host"):
        asked(dead, "http://index.test")
    with pytest.raises(Unreachable, match=r"index\.test answers 503"):
        asked(lambda request: httpx.Response(503), "http://index.test")
    with pytest.raises(Unreachable, match="does not answer as a package index"):
        asked(lambda request: httpx.Response(200, json=[1]), "http://index.test")


def test_a_failure_that_passes_is_asked_again() -> None:
    answers = iter([httpx.Response(502), httpx.Response(200, json={"files": []})])
    assert asked(lambda request: next(answers), "http://index.test") == {"x": []}


def test_wheels_of_a_folder_have_the_hash_of_their_bytes(tmp_path: Path) -> None:
    wheel = tmp_path / "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"
    wheel.write_bytes(b"wheel")
    (tmp_path / "torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl").write_bytes(b"another")
    (tmp_path / "torch.whl").write_bytes(b"no name")
    assert in_folder(tmp_path, "torch", "2.13.0+cpu") == [File(wheel.name, hashlib.sha256(b"wheel").hexdigest())]


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: Patch) -> Path:
    """A folder with one lock, an index to ask (of canned answers, by test), and nothing remembered."""
    (tmp_path / "cuda.txt").write_text(f"torch==2.13.0 \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B}\n")
    monkeypatch.setattr(command, "STAMP", tmp_path / "cache" / "stamp.json")
    for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_NO_INDEX", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://index.test/simple")
    return tmp_path


def answering(monkeypatch: Patch, files: list[File] | None) -> list[str]:
    """The command's index answers so; None: it is out of reach. Returns the names that were asked for."""
    names: list[str] = []

    class Canned(Index):
        async def files(self, wanted: Iterable[str]) -> dict[str, list[File]]:
            if files is None:
                raise Unreachable("index.test: no such host")
            names.extend(wanted)
            return dict.fromkeys(names, files)

    monkeypatch.setattr(command, "Index", Canned)
    return names


def test_right_locks_are_asked_for_once_a_week(locks: Path, monkeypatch: Patch, capsys: Capture) -> None:
    names = answering(monkeypatch, ON_INDEX)
    assert command.main([str(locks)]) == 0
    assert command.main([str(locks)]) == 0
    assert names == ["torch"]
    assert "were right on" in capsys.readouterr().out
    assert command.main([str(locks), "--again"]) == 0
    assert names == ["torch", "torch"]
    (locks / "cuda.txt").write_text(f"torch==2.13.0 --hash=sha256:{A}\n")
    assert command.main([str(locks)]) == 1, "another lock is asked for anew"


def test_wrong_locks_fail_each_time(locks: Path, monkeypatch: Patch, capsys: Capture) -> None:
    answering(monkeypatch, [File(ON_INDEX[0].name, C)])
    assert command.main([str(locks)]) == 1
    assert command.main([str(locks)]) == 1
    assert "cuda.txt: torch 2.13.0 for Python 3.11: the hash of" in capsys.readouterr().err


def test_out_of_reach_is_no_outcome(locks: Path, monkeypatch: Patch, capsys: Capture) -> None:
    answering(monkeypatch, None)
    assert command.main([str(locks)]) == command.NOT_REACHED
    assert "NOT CHECKED: the package index is out of reach (index.test: no such host)" in capsys.readouterr().err
    monkeypatch.setenv("UV_NO_INDEX", "1")
    assert command.main([str(locks)]) == command.NOT_REACHED


def test_a_local_build_that_nobody_has_is_said_loudly(locks: Path, monkeypatch: Patch, capsys: Capture) -> None:
    (locks / "cuda.txt").unlink()
    (locks / "cpu.txt").write_text(f"torch==2.13.0+cpu --hash=sha256:{A}\n")
    answering(monkeypatch, [])
    assert command.main([str(locks)], lambda pin: None) == 0
    assert "cpu.txt: NOT VERIFIED: torch 2.13.0+cpu" in capsys.readouterr().err

    (locks / "wheels").mkdir()
    (locks / "wheels" / "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl").write_bytes(b"wheel")
    monkeypatch.setenv("UV_FIND_LINKS", str(locks / "wheels"))
    assert command.main([str(locks)], lambda pin: None) == 1, "the wheel that is there has another hash"
    (locks / "cpu.txt").write_text(f"torch==2.13.0+cpu --hash=sha256:{hashlib.sha256(b'wheel').hexdigest()}\n")
    assert command.main([str(locks)], lambda pin: None) == 0


def test_pytorchs_own_index_is_the_one_that_uv_names(locks: Path, monkeypatch: Patch) -> None:
    (locks / "cuda.txt").unlink()
    (locks / "cpu.txt").write_text(f"torch==2.13.0+cpu --hash=sha256:{A}\n")
    names = answering(monkeypatch, [File("torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl", A)])
    assert command.main([str(locks)], lambda pin: "http://torch.test/whl/cpu") == 0
    assert names == ["torch"]
