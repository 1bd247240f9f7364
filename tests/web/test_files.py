"""The files of the pages: whole, ours or as noted, and with nothing in them that the pages' policy would refuse."""

import json
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from server.web.files import STATIC, File, imported, imports, page_files

ROOT = Path(__file__).parents[2]
VENDOR = STATIC / "vendor"
NOTES: dict[str, Any] = json.loads((ROOT / "server/web/vendored.json").read_text())
OWN = sorted(path for path in STATIC.rglob("*") if path.is_file() and VENDOR not in path.parents)
SCRIPTS = [path for path in OWN if path.suffix == ".js"]
PAGES = [path for path in OWN if path.suffix == ".html"]
LATE = re.compile(r'\bimport\(\s*"([^"]+)"\s*\)')
FIRST_LOAD = 150_000
"""Bytes that a page may load before it can be used, compressed."""


def scripts_of(page: Path) -> str:
    (script,) = re.findall(r'<script type="module" src="\{assets\}/([^"]+)"', page.read_text())
    return script


def resolved(script: Path, target: str) -> str:
    return (script.parent / target).resolve().relative_to(STATIC.resolve()).as_posix()


# ---------------------------------------------------------------- whole


def test_every_module_that_is_imported_is_there() -> None:
    assets = {name: file.data for name, file in page_files().assets.items()}
    for script in (*SCRIPTS, *VENDOR.rglob("*.js")):
        name = script.relative_to(STATIC).as_posix()
        imported(name, assets)
        for target in LATE.findall(script.read_text()):
            assert resolved(script, target) in assets, f"{name} loads {target}"


def test_imports_are_found_however_they_are_written() -> None:
    text = (
        'import { a } from "./a.js";\nimport "./b.js";\nexport { c } from "../c.js";\n'
        'import {\n  d,\n  e,\n} from "../x/d.js";\nconst f = () => import("./late.js");\n'
        'const g = "import h from \\"./no.js\\"";import{i}from"./i.js";export*from"./j.js";\n'
    )
    assert sorted(imports("js/part/main.js", text)) == [
        "js/c.js", "js/part/a.js", "js/part/b.js", "js/part/i.js", "js/part/j.js", "js/x/d.js",
    ]  # fmt: skip


def test_a_text_that_begins_with_a_point_is_no_import() -> None:
    text = (
        'export function isLast(event) {\n  return event.type.endsWith(".completed")\n}\nexport const dot = "./a.js"\n'
    )
    assert list(imports("js/main.js", text)) == []


def test_every_static_import_of_ours_is_found() -> None:
    """By a second, broader reading: what it misses is a round trip more for every visitor."""
    for script in SCRIPTS:
        name = script.relative_to(STATIC).as_posix()
        broad = re.findall(r'(?:\bfrom|^import)\s*"(\.[^"]+)"', script.read_text(), re.MULTILINE)
        assert sorted(imports(name, script.read_text())) == sorted(resolved(script, one) for one in broad), name


def test_every_file_is_used() -> None:
    """By a page, or by what a page loads."""
    used = set[str]()
    left = [name for page in PAGES for name in re.findall(r"\{assets\}/([\w./-]+)", page.read_text())]
    while left:
        name = left.pop()
        if name not in used:
            used.add(name)
            text = (STATIC / name).read_text()
            if name.endswith(".js"):
                left += [*imports(name, text), *(resolved(STATIC / name, one) for one in LATE.findall(text))]
    # The stock of shared parts need not be used up.
    stock = ("js/components/", "vendor/")
    there = {path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file()}
    assert {name for name in there - used if not name.endswith(".html") and not name.startswith(stock)} == set()


def test_the_folders_name_is_of_what_is_in_it(tmp_path: Path) -> None:
    shutil.copytree(STATIC, tmp_path / "static")
    page_files.cache_clear()
    first = page_files(tmp_path / "static")
    page_files.cache_clear()
    assert page_files(tmp_path / "static").folder == first.folder == page_files().folder
    with (tmp_path / "static/css/base.css").open("a") as file:
        file.write("\n")
    page_files.cache_clear()
    changed = page_files(tmp_path / "static")
    assert changed.folder != first.folder
    assert changed.pages["home"].etag != first.pages["home"].etag, "a page that is kept would name the old folder"
    assert changed.assets["js/lib.js"].etag == first.assets["js/lib.js"].etag
    page_files.cache_clear()


def test_a_file_is_compressed_alike_wherever_and_only_where_it_helps() -> None:
    assert File.of("a.js", b"x" * 1000) == File.of("a.js", b"x" * 1000)
    assert File.of("a.js", b"x").packed is None
    assert File.of("a.woff2", b"").media_type == "font/woff2"
    assert File.of("a.unheard-of", b"").media_type == "application/octet-stream"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_the_first_load_is_light(page: Path) -> None:
    """The page, its styles, and all modules that it begins with, as they go over the wire to a new visitor."""
    files = page_files()
    sent = files.pages[page.stem]
    named = set(re.findall(rf"assets/{files.folder}/([\w./-]+)", sent.data.decode()))
    weights = {name: len(files.assets[name].packed or files.assets[name].data) for name in named}
    total = len(sent.packed or sent.data) + sum(weights.values())
    assert total < FIRST_LOAD, sorted(weights.items(), key=lambda one: -one[1])[:8]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_what_reads_markdown_and_draws_charts_is_not_in_the_first_load(page: Path) -> None:
    named = page_files().pages[page.stem].data.decode()
    assert re.findall(r"/vendor/(?:marked|dompurify|uplot)/\w+\.js", named) == []


# ---------------------------------------------------------------- ours, or as noted


def test_what_is_not_ours_is_as_noted_and_has_its_licence() -> None:
    vendoring = runpy.run_path(str(ROOT / "scripts/vendor_pages.py"))
    assert vendoring["differing"](NOTES) == []
    for package, notes in NOTES.items():
        assert re.fullmatch(r"[0-9a-f]{64}", notes["tarball"])
        assert re.fullmatch(r"\d+\.\d+\.\d+", notes["version"])
        licence = (VENDOR / package.rpartition("/")[2] / "LICENSE").read_text()
        assert "Copyright" in licence or "copyright" in licence, package


def test_a_file_that_was_changed_or_added_is_found(tmp_path: Path) -> None:
    vendoring = runpy.run_path(str(ROOT / "scripts/vendor_pages.py"))
    shutil.copytree(VENDOR, tmp_path / "vendor")
    (tmp_path / "vendor/preact/preact.js").write_text("// mine\n")
    (tmp_path / "vendor/preact/more.js").touch()
    (tmp_path / "vendor/htm/LICENSE").unlink()
    assert vendoring["differing"](NOTES, tmp_path / "vendor") == ["htm/LICENSE", "preact/more.js", "preact/preact.js"]


def test_both_kinds_of_package_have_the_files(tmp_path: Path) -> None:
    """What is installed elsewhere, by a wheel, and what a wheel may be made of."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "server/web", source / "server/web")
    (source / "server/__init__.py").touch()
    build = "from setuptools import build_meta as by; by.build_wheel('..'); by.build_sdist('..')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    wanted = {
        f"server/web/{path.relative_to(STATIC.parent).as_posix()}" for path in STATIC.rglob("*") if path.is_file()
    }
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        assert wanted <= set(packed.namelist())
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed_source:
        assert wanted <= {name.partition("/")[2] for name in packed_source.getnames()}


# ---------------------------------------------------------------- what the policy would refuse


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_page_has_nothing_inline(page: Path) -> None:
    text = page.read_text()
    for script in re.findall(r"<script\b[^>]*>(.*?)</script>", text, re.DOTALL):
        assert script == ""
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:|<iframe|<base", text) == []


def test_nothing_names_another_host() -> None:
    """But the namespaces of SVG, and examples of addresses, which are no more than text."""
    known = {"http://www.w3.org/2000/svg", "http://localhost/"}
    for path in OWN:
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)  # a comment may name its source
        found = set(re.findall(r"(?:https?|wss?)://[^\s\"'`<>)$]*", text))
        others = {one for one in found - known if not re.match(r"https?://(?:[\w-]+\.)*example(?:\.|/|$)", one)}
        assert others == set(), path.name
        assert not re.search(r"""(?:@import|url\()\s*["']?(?:https?:)?//""", text), path.name


DANGEROUS = re.compile(r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|eval\(|new Function)")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.relative_to(STATIC / "js").as_posix())
def test_a_script_makes_no_html_of_texts_and_keeps_no_secrets(script: Path) -> None:
    text = script.read_text()
    assert DANGEROUS.findall(text) == []
    if script.name != "markdown.js":
        assert "dangerouslySetInnerHTML" not in text, "Markdown is the one that cleans what it shows"
    assert "document.cookie" not in text
    assert not re.search(r"\bstyle=\$?[\"'](?!\$\{\{)", text), "the policy refuses a style in HTML"
    assert re.search(r"^(?:/\*\*|//)", text), "a file's first comment says what lives there"
    if script.name != "session.js":
        assert "sagehold.key" not in text, "the key's place is session.js's alone"


def test_styles_take_their_colours_from_the_design_system() -> None:
    for path in OWN:
        if path.suffix == ".css" and path.name != "tokens.css":
            colours = re.findall(r"#[0-9a-fA-F]{3,8}\b|\b(?:hsla?|oklch|lab)\(", path.read_text())
            assert colours == [], path.name
