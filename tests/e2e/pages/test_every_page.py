"""Every page and tab, in both themes at three widths: nothing foreign, no violation, nothing that axe-core finds."""

import pytest

from tests.e2e.pages.conftest import SIZES, Opener

PLAYGROUND = ("chat", "images", "transcription", "speech", "embeddings", "asksage")
CONSOLE = ("models", "live", "accounts", "keys", "usage", "datasets", "personas", "audit", "settings", "own")
PAGES = ["", *(f"playground#{tab}" for tab in PLAYGROUND), *(f"console#{section}" for section in CONSOLE)]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_sound_in_each_theme_and_width(opened: Opener, operator: str, path: str) -> None:
    name = (path or "home").replace("#", "-")
    for theme in ("light", "dark"):
        watched = opened(path, key=operator, theme=theme, size="narrow")
        watched.page.wait_for_load_state("networkidle")
        for size, (width, height) in SIZES.items():
            watched.page.set_viewport_size({"width": width, "height": height})
            watched.shot(f"{name}-{theme}-{size}")
            across = watched.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
            assert across <= 0, f"{name} is {across} px too wide at {size}"
            # What is wide is what is middle, with more space between.
            assert size == "wide" or watched.axe() == []
        assert watched.refused == [], f"{name} asks for what it may not have"
        watched.clean()
