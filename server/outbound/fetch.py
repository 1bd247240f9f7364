"""Fetching by URL from allowed hosts, and from nowhere else: the guard against forged requests (SSRF).

The name is resolved once, every address it has must be public, and the connection goes to the address that was
checked, so a name that answers differently the second time (DNS rebinding) gains nothing. Redirects are refused.
"""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import anyio
import httpx

from server.outbound.addresses import Address, Resolve, is_public, system_resolve

EVERY_HOST = "*"
_PORTS = {"http": 80, "https": 443}


class Refusal(StrEnum):
    """Why nothing was fetched."""

    NOTHING_ALLOWED = "no host is allowed"
    NOT_A_URL = "the URL is not valid"
    NOT_HTTP = "the URL is not http or https, or has a user name"
    HOST = "the host is not allowed"
    STATUS = "the host answered with another status than 200"
    MEDIA_TYPE = "it is of another media type than was asked for"
    COMPRESSED = "it is compressed, which was not asked for"
    TOO_LARGE = "it is too large"
    TOO_SLOW = "it took too long"
    FAILED = "the connection failed"


class FetchError(Exception):
    """Nothing was fetched. status: the host's, where that is the reason."""

    def __init__(self, refusal: Refusal, status: int | None = None) -> None:
        super().__init__(refusal.value if status is None else f"the host answered with status {status}")
        self.refusal = refusal
        self.status = status


@dataclass(frozen=True, slots=True)
class Fetched:
    """media_type: the answer's `Content-Type` as it came."""

    data: bytes
    media_type: str


class Fetcher:
    """Fetches by URL.

    hosts: those allowed, as `example.com` (on its scheme's own port) or `example.com:8443`; `*` is every host, on its
    scheme's own port. Whatever they are, their addresses must be public ones. limit: most bytes of an answer's body.
    timeout: seconds for all of a fetch. resolve, permitted: for tests.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        *,
        limit: int,
        timeout: float = 10.0,
        resolve: Resolve = system_resolve,
        permitted: Callable[[Address], bool] = is_public,
    ) -> None:
        self._hosts = frozenset(host.lower().rstrip(".") for host in hosts)
        self._limit = limit
        self._timeout = timeout
        self._resolve = resolve
        self._permitted = permitted

    async def fetch(self, url: str, accept: str, kinds: Sequence[str]) -> Fetched:
        """What is behind `url`. accept: the header; kinds: how its media type may begin. Raises FetchError."""
        target = self._allowed(url)
        try:
            with anyio.fail_after(self._timeout):
                address = await self._address(target)
                return await self._get(target, address, accept, tuple(kinds))
        except TimeoutError:
            raise FetchError(Refusal.TOO_SLOW) from None
        except (httpx.HTTPError, OSError):
            raise FetchError(Refusal.FAILED) from None

    def _allowed(self, url: str) -> httpx.URL:
        """The URL, if its host is one of those allowed. Nothing is looked up before this has passed."""
        if not self._hosts:
            raise FetchError(Refusal.NOTHING_ALLOWED)
        try:
            target = httpx.URL(url)
        except (httpx.InvalidURL, ValueError):
            raise FetchError(Refusal.NOT_A_URL) from None
        if target.port == 0:  # by which a client may understand the scheme's own, and another one not
            raise FetchError(Refusal.NOT_A_URL)
        if target.scheme not in _PORTS or not target.host or target.userinfo:
            raise FetchError(Refusal.NOT_HTTP)
        # The host as it goes over the wire, in ASCII: look-alikes in other scripts are other names.
        host = target.raw_host.decode("ascii").lower().rstrip(".")
        port = target.port or _PORTS[target.scheme]
        own = port == _PORTS[target.scheme]
        if f"{host}:{port}" not in self._hosts and not (own and (host in self._hosts or EVERY_HOST in self._hosts)):
            raise FetchError(Refusal.HOST)
        return target

    async def _address(self, target: httpx.URL) -> Address:
        port = target.port or _PORTS[target.scheme]
        found = [ipaddress.ip_address(one.partition("%")[0]) for one in await self._resolve(target.host, port)]
        # One inner address among public ones is enough to refuse: the choice must not be luck.
        if not found or not all(self._permitted(address) for address in found):
            raise FetchError(Refusal.HOST)
        return found[0]

    async def _get(self, target: httpx.URL, address: Address, accept: str, kinds: tuple[str, ...]) -> Fetched:
        # The connection goes to the address; the certificate is still checked against the name.
        pinned = target.copy_with(host=str(address))
        headers = {"Host": target.netloc.decode("ascii"), "Accept": accept, "Accept-Encoding": "identity"}
        # trust_env: a proxy from the environment would resolve the name again, and a .netrc send passwords.
        async with (
            httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=self._timeout) as client,
            client.stream("GET", pinned, headers=headers, extensions={"sni_hostname": target.host}) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise FetchError(Refusal.STATUS, answer.status_code)
            media_type = answer.headers.get("content-type", "")
            if not media_type.lower().startswith(kinds):
                raise FetchError(Refusal.MEDIA_TYPE)
            # An answer that is compressed nevertheless is not what was asked for, and not unpacked to see.
            if answer.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
                raise FetchError(Refusal.COMPRESSED)
            data = bytearray()
            async for chunk in answer.aiter_raw():
                data += chunk
                if len(data) > self._limit:
                    raise FetchError(Refusal.TOO_LARGE)
            return Fetched(bytes(data), media_type)
