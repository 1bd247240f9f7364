"""Every page and tab, in both themes at three widths: nothing foreign, no violation, nothing that axe-core finds."""

from typing import Literal

import pytest
from playwright.sync_api import expect

from tests.e2e.pages.conftest import SIZES, Opener

PLAYGROUND = ("chat", "images", "transcription", "speech", "embeddings", "asksage")
CONSOLE = (
    "models",
    "live",
    "accounts",
    "keys",
    "usage",
    "batches",
    "files",
    "datasets",
    "personas",
    "audit",
    "settings",
    "own",
)
PAGES = ["", *(f"playground#{tab}" for tab in PLAYGROUND), *(f"console#{section}" for section in CONSOLE)]
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
BACKGROUND = "() => getComputedStyle(document.body).backgroundColor"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_sound_in_each_theme_and_width(opened: Opener, operator: str, path: str) -> None:
    name = (path or "home").replace("#", "-")
    watched = opened(path, key=operator)
    page = watched.page
    page.wait_for_load_state("networkidle")
    expect(page.locator(".loading")).to_have_count(0)  # such as of rates, for which two looks are needed
    backgrounds = set()
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            backgrounds.add(page.evaluate(BACKGROUND))
            watched.shot(f"{name}-{theme}-{size}")
            across = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
            assert across <= 0, f"{name} is {across} px too wide at {size}"
            # What is wide is what is middle, with more space between; what is dark differs in its colours alone.
            if size != "wide":
                assert watched.axe(*(() if theme == "light" else ("color-contrast",))) == [], (size, theme)
    assert len(backgrounds) == len(THEMES), "the theme was not changed"
    assert watched.refused == [], f"{name} asks for what it may not have"
    watched.clean()
