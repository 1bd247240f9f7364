"""What a page weighs and how soon it can be used, as the browser itself counts it."""

import json

import pytest
from playwright.sync_api import expect

from tests.e2e.pages.conftest import SHOTS, Opener

FIRST_LOAD = 150_000
"""Bytes of bodies as they go over the wire to a new visitor."""
SOON = 1.0
"""Seconds until a page can be used, on a machine that does nothing else. Asserted is five times that."""
MEASURED = """() => {
  const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  const answers = /\\/(v1|admin|metrics|ready|health|server)\\b/;
  const files = entries.filter((one) => !answers.test(new URL(one.name).pathname));
  return {
    bytes: files.reduce((sum, one) => sum + one.encodedBodySize, 0),
    files: files.length,
    seconds: performance.now() / 1000,
  };
}"""


@pytest.mark.parametrize(
    ("path", "role", "name"),
    [
        ("", "link", "Try it in the playground"),
        ("playground", "tab", "Chat"),
        ("console", "heading", "Models"),
    ],
)
def test_a_page_is_light_and_soon_there(opened: Opener, operator: str, path: str, role: str, name: str) -> None:
    opened(path, key=operator)  # the server is warm
    found = []
    for _ in range(3):
        watched = opened(path, key=operator)
        page = watched.page
        expect(page.get_by_role(role, name=name, exact=True).first).to_be_visible()  # type: ignore[arg-type]
        seconds = page.evaluate("() => performance.now() / 1000")
        page.wait_for_load_state("networkidle")
        found.append(page.evaluate(MEASURED) | {"seconds": round(seconds, 3)})
        watched.clean()
    best = min(found, key=lambda one: float(one["seconds"]))
    SHOTS.mkdir(parents=True, exist_ok=True)
    with (SHOTS / "weights.jsonl").open("a") as file:
        file.write(json.dumps({"page": path or "home", **best}) + "\n")
    assert 10_000 < best["bytes"] < FIRST_LOAD, best
    assert best["seconds"] < 5 * SOON, best


def test_a_second_visit_asks_for_the_page_alone(opened: Opener, operator: str) -> None:
    """Its files are kept; the page itself is asked for anew, and is not sent again."""
    watched = opened("console", key=operator)
    page = watched.page
    page.wait_for_load_state("networkidle")
    page.goto(f"{watched.url}/console")
    page.wait_for_load_state("networkidle")
    found = page.evaluate(
        """() => performance.getEntriesByType("resource").filter((one) => one.name.includes("/assets/"))
             .map((one) => one.transferSize)"""
    )
    assert len(found) > 10
    assert sum(found) == 0
    # A 304 has no body: what came over the wire is its head.
    assert page.evaluate('() => performance.getEntriesByType("navigation")[0].transferSize') < 1000
