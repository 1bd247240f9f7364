"""The pages in a real browser, Debian's chromium, over the real server. What a page does is watched: see `Watched`."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Route, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from tests.e2e.live import ROOT, LiveServer, until

SHOTS = Path(os.environ.get("SCREENSHOTS") or ROOT / "data/screenshots")
"""Where screenshots go."""
AXE = ROOT / "tests/e2e/node/node_modules/axe-core/axe.min.js"
SEEN = """
addEventListener("securitypolicyviolation", (event) => {
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
});
"""
PATIENCE = 20_000
"""Milliseconds for whatever is expected of a page, on a machine that has other things to do."""
SIZES = {"narrow": (360, 740), "middle": (1280, 800), "wide": (2560, 1440)}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Show what the pages of a failed test complained of, and keep a picture of each."""
    report = yield
    used = getattr(item, "funcargs", {})
    if report.failed and call.when == "call":
        for opener in (one for one in used.values() if isinstance(one, Opener)):
            for number, watched in enumerate(opener.pages):
                name = f"failed-{re.sub(r'[^A-Za-z0-9]+', '-', item.name).strip('-')}-{number}"
                try:
                    watched.shot(name)
                    shown = f"{watched.seen()}\npicture: {SHOTS / name}.png"
                except PlaywrightError as error:  # it was closed, or has crashed
                    shown = f"{watched.seen()}\nno picture: {error}"
                report.sections.append(("a page of the test", shown))
    if report.failed:
        for name, live in used.items():
            # Of `server` the conftest.py above shows the log.
            if isinstance(live, LiveServer) and name != "server":
                report.sections.append((f"the log of {name} ends", live.log[-6000:]))
    return report


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all these tests."""
    found = subprocess.run([ROOT / "scripts/browser"], capture_output=True, text=True)
    assert found.returncode == 0, f"the pages can't be tested: {found.stderr}"
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found.stdout.strip(),
            # Recordings begin without a click, and a microphone is there that hums.
            args=[
                "--autoplay-policy=no-user-gesture-required",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                *(["--no-sandbox"] if os.geteuid() == 0 else []),
            ],
        )
        yield browser
        browser.close()


class Watched:
    """A page under watch. foreign: requests to other hosts; errors: what the console complained of, violations of the
    Content-Security-Policy and uncaught exceptions included. Failed requests are the test's own matter: a refusal by
    the server is in `refused`, as (status, path)."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.foreign: list[str] = []
        self.errors: list[str] = []
        self.refused: list[tuple[int, str]] = []
        page.on("request", self._request)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        page.on("response", self._response)

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.url, "blob:", "data:")):
            self.foreign.append(request.url)

    def _console(self, message: ConsoleMessage) -> None:
        # The browser's own line on a response that is no success: `refused` has those.
        refused = message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and not refused:
            self.errors.append(f"{message.type}: {message.text}")

    def _response(self, response: Any) -> None:
        if response.status >= 400:
            self.refused.append((response.status, response.url.removeprefix(self.url)))

    def clean(self) -> None:
        """Fail if the page has asked another host for something, or has complained."""
        assert self.foreign == []
        assert self.errors == []

    def axe(self, *rules: str) -> list[str]:
        """What axe-core finds that is serious, a line each: rule, how bad, where. rules: those alone, where given."""
        assert AXE.is_file(), f"{AXE} is missing: scripts/setup --test brings it"
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(AXE.read_text())
        options: dict[str, Any] = {"resultTypes": ["violations"]}
        if rules:
            options["runOnly"] = {"type": "rule", "values": list(rules)}
        found = self.page.evaluate("(options) => axe.run(document, options)", options)
        return [
            f"{rule['id']} ({rule['impact']}): {node['html'][:160]} {json.dumps(node['any'][:1])[:300]}"
            for rule in found["violations"]
            if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"]
        ]

    def seen(self) -> str:
        """What is to be known of the page when a test has failed."""
        refused = [f"{status} {path}" for status, path in self.refused]
        said = {"console": self.errors, "refused": refused, "foreign": self.foreign}
        return "\n".join([self.page.url, *(f"{what}: {one}" for what, found in said.items() for one in found)])

    def shot(self, name: str) -> None:
        """A picture of the whole page, in SHOTS."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


class Held:
    """Requests of a page that are not answered before `release`; from then on they are answered at once."""

    def __init__(self, page: Page, pattern: str) -> None:
        self._routes: list[Route] = []
        self._released = False
        page.route(pattern, self._hold)

    def _hold(self, route: Route) -> None:
        if self._released:  # it was asked for before, and this process hears of it only now
            route.fallback()
        else:
            self._routes.append(route)

    def release(self) -> None:
        self._released = True
        for route in self._routes:
            route.continue_()


class Opener:
    """Opens pages of one server, each in a browser context of its own."""

    def __init__(self, browser: Browser, live: LiveServer) -> None:
        self.live = live
        self.pages: list[Watched] = []
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    def __call__(
        self, path: str = "", *, key: str | None = None, theme: str = "light", size: str = "middle", **options: Any
    ) -> Watched:
        """path: such as "playground#chat". key: the tab's; the server's first one by default, "" for none."""
        width, height = SIZES[size]
        scheme: Any = theme
        context = self._browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": height}, reduced_motion="reduce", **options
        )
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE)
        used = self.live.key if key is None else key
        context.add_init_script(SEEN)
        if used:
            # Once: what the page itself makes of it later stands.
            context.add_init_script(
                f"if (!sessionStorage.getItem('begun')) {{ sessionStorage.setItem('begun', '1'); "
                f"sessionStorage.setItem('sagehold.key', {json.dumps(used)}); }}"
            )
        watched = Watched(context.new_page(), self.live.url)
        self.pages.append(watched)
        watched.page.goto(f"{self.live.url}/{path}")
        return watched

    def close(self) -> None:
        for context in self._contexts:
            context.close()


@pytest.fixture(scope="session")
def operator(server: LiveServer) -> str:
    """A key that may do everything, as the operator makes it on the machine."""
    return server.command("keys", "create", "--name", "operator", "--scopes", "inference,usage,admin")


@pytest.fixture
def opened(chromium: Browser, server: LiveServer) -> Iterator[Opener]:
    """Opens pages of the server with the starter models."""
    opener = Opener(chromium, server)
    yield opener
    opener.close()


FAKES = {
    "broken": {"serves": "chat", "options": {"fail_start": "The weights are <b>not</b> readable."}},
    "slow": {"serves": "chat", "options": {"text": "so", "tokens": 400, "step": 0.05}},
    "quick": {"serves": "chat", "options": {"text": "It is done."}},
}
"""Models that need no weights: one that can't be loaded, one that answers for 20 seconds, one that answers at once."""


@pytest.fixture(scope="session")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with FAKES and a model whose files are not installed, and with a password among its settings."""

    def configure(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.mkdir()
        for name, spec in FAKES.items():
            (folder / f"{name}.yaml").write_text(yaml.safe_dump({"name": name, "engine": "fake", **spec}))
        absent = {"name": "absent", "engine": "whisper", "path": "nowhere/absent", "fetch": "scripts/models absent"}
        (folder / "absent.yaml").write_text(yaml.safe_dump(absent))

    settings = {"searxng_url": "http://me:secret-word@127.0.0.1:9/", "max_body": "1MiB"}
    live = LiveServer(tmp_path_factory.mktemp("fakes"), settings=settings, change=configure)
    try:
        live.wait_announced()
        until(lambda: "failed" in httpx.get(f"{live.url}/ready", timeout=30).text, "the broken model fails", within=60)
        yield live
    finally:
        live.stop()
