"""SearXNG's search API: GET /search?q=…&format=json (docs.searxng.org/dev/search_api)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urldefrag, urlsplit

import anyio
import httpx
import orjson

from server.knowledge.live.pages import Pages
from server.knowledge.live.provider import LINK, SNIPPET, TITLE, SearchTrouble
from server.knowledge.records import WebResult

TIMEOUT = 8.0
LIMIT = 4 * 2**20
"""Most bytes of an answer. An ordinary one has some ten thousand."""
FORMATS = "SearXNG answered 403: under `search.formats` of its settings.yml, json must be listed"

# SearXNG's own syntax at the beginning of a word chooses engines, a language or a time, or leads elsewhere. A question
# is none of its commands.
_SYNTAX = re.compile(r"(?<!\S)[!:<?]+")


class Searxng:
    """url: the instance's base, which the operator configured: unlike a page's, its address may be a private one, and
    it may hold a user and a password.
    """

    def __init__(
        self, url: str, pages: Pages, *, timeout: float = TIMEOUT, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._url = f"{url.rstrip('/')}/search"
        self._pages = pages
        self._timeout = timeout
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    async def search(self, query: str, most: int) -> Sequence[WebResult]:
        """In SearXNG's order, each link once. Raises SearchTrouble."""
        try:
            with anyio.fail_after(self._timeout):
                found = _parsed(await self._answer(_SYNTAX.sub("", query).strip()))
        except TimeoutError:
            message = f"SearXNG did not answer within {self._timeout:g} s"
            raise SearchTrouble("The search engine did not answer in time.", message) from None
        except (httpx.HTTPError, OSError) as error:
            message = f"SearXNG could not be reached: {type(error).__name__}"
            raise SearchTrouble("The search engine could not be reached.", message) from None
        results = list(_results(found["results"]))[:most]
        if not results and (silent := _unresponsive(found)):
            message = f"none of SearXNG's engines found anything; without an answer: {', '.join(silent)}"
            raise SearchTrouble("None of the search engines behind SearXNG answered.", message)
        return results

    async def read(self, link: str) -> str:
        return await self._pages.read(link)

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _answer(self, query: str) -> bytes:
        if self._client is None:
            # trust_env: a proxy of the environment would see the questions.
            self._client = httpx.AsyncClient(
                trust_env=False, follow_redirects=False, timeout=self._timeout, transport=self._transport
            )
        params = {"q": query, "format": "json", "pageno": "1"}
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "sagehold"}
        async with self._client.stream("GET", self._url, params=params, headers=headers) as answer:
            _check(answer)
            data = bytearray()
            async for chunk in answer.aiter_raw():
                data += chunk
                if len(data) > LIMIT:
                    message = f"SearXNG's answer has more than {LIMIT} bytes"
                    raise SearchTrouble("The search engine's answer was too large.", message)
        return bytes(data)


def _check(answer: httpx.Response) -> None:
    """Raises SearchTrouble."""
    status = answer.status_code
    if status == httpx.codes.FORBIDDEN:
        raise SearchTrouble(
            "The search engine refused: `search.formats` in the settings.yml of SearXNG must list json.", FORMATS
        )
    if status == httpx.codes.TOO_MANY_REQUESTS:
        message = "SearXNG answered 429: its limiter (`server.limiter` in settings.yml) takes this server for a robot"
        raise SearchTrouble("The search engine refused: too many searches.", message)
    if status != httpx.codes.OK:
        raise SearchTrouble(f"The search engine answered with status {status}.", f"SearXNG answered {status}")
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise SearchTrouble("The search engine's answer can't be read.", "SearXNG's answer is compressed")
    kind = answer.headers.get("content-type", "").lower()
    if kind.startswith("text/html"):
        message = "SearXNG answered a page where JSON was asked for: is SAGEHOLD_SEARXNG_URL its base URL?"
        raise SearchTrouble("The search engine answered a page instead of JSON.", message)


def _parsed(data: bytes) -> Mapping[str, Any]:
    """Raises SearchTrouble."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("results"), list):
        raise SearchTrouble("The search engine's answer can't be read.", "SearXNG's answer is not what its API says")
    return found


def _results(found: Sequence[Any]) -> Iterator[WebResult]:
    seen = set()
    for each in found:
        link = web_link(each.get("url")) if isinstance(each, dict) else None
        if link is None or (same := urldefrag(link).url.rstrip("/")) in seen:
            continue
        seen.add(same)
        title, snippet = (_line(each.get(name)) for name in ("title", "content"))
        yield WebResult(title[:TITLE] or link, link, snippet[:SNIPPET])


def web_link(value: Any) -> str | None:
    """An address of the web, as it is; None for anything else."""
    if not isinstance(value, str) or len(value) > LINK or not value.isprintable() or " " in value:
        return None
    try:
        parts = urlsplit(value)
        host = parts.hostname
    except ValueError:
        return None
    return value if parts.scheme in ("http", "https") and host else None


def _line(value: Any) -> str:
    return " ".join(value[: 10 * SNIPPET].split()) if isinstance(value, str) else ""


def _unresponsive(found: Mapping[str, Any]) -> Sequence[str]:
    """The names of engines that did not answer: of pairs of a name and a reason."""
    each = found.get("unresponsive_engines")
    pairs = each if isinstance(each, list) else []
    return [_line(pair[0])[:50] for pair in pairs[:20] if isinstance(pair, list) and pair and isinstance(pair[0], str)]
