"""What hostile models, users and documents write is shown and does nothing, on all pages. A browser is the judge."""

import json
from typing import Any

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.e2e.live import LiveServer
from tests.e2e.pages.conftest import Opener
from tests.e2e.pages.test_shell import made

EVIL = '"><img src=http://evil.example/x onerror=alert(1)><script>alert(2)</script>'
MARKDOWN = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "<form action=http://evil.example><button>x</button></form>",
    "<style>body{display:none}</style>",
    "<base href=http://evil.example/>",
    "<meta http-equiv=refresh content='0;url=http://evil.example'>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt&#58;alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](vbscript:alert(1))",
    "<javascript:alert(1)>",
    "![x](http://evil.example/x.png)",
    '![x](http://evil.example/x.png "title")',
    "![x][ref]\n\n[ref]: http://evil.example/x.png",
    "[![x](http://evil.example/x.png)](javascript:alert(1))",
    '![" onerror="alert(1)](x"onerror="alert(1))',
    "[x](http://ok.example/'onmouseover='alert(1))",
    "```html\n<script>alert(1)</script>\n```",
    "``<img src=x onerror=alert(1)>``",
    "| a |\n|---|\n| <img src=x onerror=alert(1)> |",
    "<details open ontoggle=alert(1)>x</details>",
    "<br><sub>x</sub><sup>y</sup>",
    "<br onclick=alert(1)>",
    "\u0000<scr\u0000ipt>alert(1)</script>",
    "<div style='position:fixed;inset:0'>x</div>",
]
TAGS = {"p", "a", "code", "pre", "table", "thead", "tbody", "tr", "th", "td", "br", "sub", "sup"}
SHOWN = """async (texts) => {
  const script = document.querySelector("script[type=module]").src;
  const { cleaned } = await import(new URL("../components/prose.js", script));
  return texts.map((text) => {
    const place = document.createElement("div");
    place.innerHTML = cleaned(text);
    document.body.append(place);
    const all = [...place.querySelectorAll("*")];
    return {
      text: place.innerText,
      tags: [...new Set(all.map((one) => one.tagName.toLowerCase()))],
      attributes: [...new Set(all.flatMap((one) => one.getAttributeNames()))],
      links: [...place.querySelectorAll("a")].map((one) => [one.getAttribute("href"), one.target, one.rel]),
    };
  });
}"""


def test_markdown_does_nothing(opened: Opener) -> None:
    watched = opened("")
    page = watched.page
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.wait_for_load_state("networkidle")
    for text, found in zip(MARKDOWN, page.evaluate(SHOWN, MARKDOWN), strict=True):
        assert set(found["tags"]) <= TAGS, text
        assert set(found["attributes"]) <= {"href", "target", "rel", "title", "align"}, text
        for href, target, rel in found["links"]:
            assert href is None or href.startswith(("http://", "https://", "mailto:")), text
            assert (target, rel) == ("_blank", "noopener noreferrer nofollow"), text
    page.evaluate("() => new Promise((done) => setTimeout(done, 200))")
    assert dialogs == []
    assert page.evaluate("() => getComputedStyle(document.body).display") != "none"
    assert page.url == f"{watched.url}/"
    watched.clean()


def test_markdown_shows_what_was_written(opened: Opener) -> None:
    """Also HTML, and the sign of a picture in code: nothing is eaten."""
    page = opened("").page
    texts = [
        "Use the <b> tag & <div>.",
        "`![x](y)`",
        "- [x] done\n- [ ] not",
        "a<br>b",
        "![alt](http://a.example/b.png)",
    ]
    html, code, tasks, broken, picture = page.evaluate(SHOWN, texts)
    assert html["text"].strip() == texts[0]
    assert code["text"].strip() == "![x](y)"
    assert [line.strip() for line in tasks["text"].strip().splitlines()] == ["☑ done", "☐ not"]
    assert broken["text"].strip().splitlines() == ["a", "b"]
    assert (picture["text"].strip(), picture["links"][0][0]) == ("alt", "http://a.example/b.png")


@pytest.mark.parametrize("path", ["", "playground", "console"])
def test_hostile_names_are_names(opened: Opener, server: LiveServer, operator: str, path: str) -> None:
    """Of a key, an account, a model; and a refusal that quotes one."""
    headers = {"Authorization": f"Bearer {operator}"}
    account = {"name": f"<img src=x onerror=alert(1)> {path}"}
    answer = httpx.post(f"{server.url}/admin/v1/accounts", json=account, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    key = made(server, operator, name=EVIL[:60], account=account["name"], scopes=["admin", "inference"])
    watched = opened(path, key=key["key"])
    page = watched.page
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))

    def models(route: Route) -> None:
        found = route.fetch().json()
        for model in found["data"]:
            model["id"] = f"{EVIL}{model['id']}"
            model["description"] = model["owned_by"] = model["reason"] = EVIL
        route.fulfill(json=found)

    page.route("**/v1/models", models)
    page.reload()
    button = page.locator("header .bar-end button").first
    expect(button).to_contain_text("<img src=http://evil.example")
    page.wait_for_load_state("networkidle")
    button.click()
    expect(page.get_by_role("dialog")).to_contain_text(account["name"])
    assert page.locator("img[src*=evil], script:not([src])").count() == 0
    assert watched.axe() == []
    watched.clean()


WRITTEN = {
    *("name", "full_name", "owner_name", "account_name", "key_name", "filename", "heading", "text", "note", "target"),
    *("action", "error", "description", "reason", "context", "value", "prompt", "message", "model"),
}
"""Fields that hold what somebody wrote, whoever that was."""


def spoilt(value: Any) -> Any:
    """With markup in each of them."""
    if isinstance(value, list):
        return [spoilt(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: f"{EVIL}{one}" if name in WRITTEN and isinstance(one, str | None) else spoilt(one)
        for name, one in value.items()
    } | ({"details": {EVIL: EVIL, "__proto__": {"x": EVIL}, "after": {EVIL: [EVIL]}}} if "details" in value else {})


SECTIONS = ["models", "accounts", "keys", "usage", "datasets", "personas", "audit", "settings"]


def test_what_is_hostile_is_text_in_every_section_of_the_console(opened: Opener, operator: str) -> None:
    """Whatever the server keeps: each text of its answers has markup in it."""
    watched = opened("console#settings", key=operator)
    headers = {"Authorization": f"Bearer {operator}"}
    made = httpx.post(f"{watched.url}/v1/datasets", json={"name": "spoilt"}, headers=headers, timeout=30)
    assert made.status_code == 200, made.text
    page = watched.page
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    page.route("**/admin/v1/**", lambda route: route.fulfill(json=spoilt(route.fetch().json())))
    day = {"day": "2026-11-26", "requests": 1, "cost": 1, "prompt_tokens": 1, "completion_tokens": 1}
    counts = dict.fromkeys(("cached_tokens", "reasoning_tokens", "audio_seconds", "characters", "images"), 0)
    row = {**day, **counts, "model": EVIL, "key": EVIL, "account": EVIL, "task": EVIL}
    page.route("**/admin/v1/usage?*", lambda route: route.fulfill(json={"object": "list", "data": [row]}))
    page.reload()
    for section in SECTIONS:
        page.evaluate("(section) => { location.hash = section; }", section)
        main = page.locator("#main")
        expect(main.get_by_role("heading", level=1)).to_have_text(section.capitalize().replace("Audit", "Audit log"))
        expect(main.get_by_text("<script>alert(2)</script>").first).to_be_attached()
        assert page.locator("main :is(img, script, iframe, [onerror])").count() == 0, section
    watched.clean()


def test_a_refusal_with_markup_is_text(opened: Opener) -> None:
    watched = opened("")
    page = watched.page
    refusal = {"error": {"message": EVIL, "type": "x", "code": None, "param": EVIL}}
    page.route(
        "**/v1/models",
        lambda route: route.fulfill(status=400, body=json.dumps(refusal), headers={"x-request-id": EVIL}),
    )
    page.reload()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(EVIL)
    assert page.locator("img[src*=evil], script:not([src])").count() == 0
    watched.clean()


@pytest.mark.parametrize(
    ("scopes", "playground", "console"),
    [
        (["inference"], "", "My usage"),
        (["usage"], "This key may not use models", "My usage"),
        (["admin"], "This key may not use models", "Models"),
    ],
)
def test_a_key_of_any_scope_sees_what_it_may(
    opened: Opener, server: LiveServer, operator: str, scopes: list[str], playground: str, console: str
) -> None:
    key = made(server, operator, name="-".join(scopes), scopes=scopes)["key"]
    watched = opened("playground", key=key)
    notice = watched.page.get_by_text("This key may not use models")
    expect(watched.page.locator("header").get_by_role("button", name="-".join(scopes))).to_be_visible()
    expect(notice).to_have_count(1 if playground else 0)
    watched.clean()
    watched = opened("console#accounts", key=key)
    expected = "Accounts" if "admin" in scopes else console
    expect(watched.page.get_by_role("heading", level=1)).to_have_text(expected)
    sections = watched.page.get_by_role("navigation", name="Sections").get_by_role("link")
    assert (sections.count() > 3) is ("admin" in scopes)
    watched.page.wait_for_load_state("networkidle")
    assert [one for one in watched.refused if one[0] in (401, 403)] == [], "nothing is asked that it may not"
    watched.clean()


def test_no_other_page_may_frame_these(opened: Opener, server: LiveServer) -> None:
    page = opened("", key="").page
    page.set_content(f'<iframe src="{server.url}/console"></iframe>')
    frame = page.frames[-1]
    frame.wait_for_load_state()
    assert frame.locator("#app").count() == 0
