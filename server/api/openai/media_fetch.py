"""Fetching a picture or a sound from an allowed host, and from nowhere else: the guard against forged requests (SSRF).

The name is resolved once, every address it has must be public, and the connection goes to the address that was
checked, so a name that answers differently the second time (DNS rebinding) gains nothing. Redirects are refused.
"""

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import anyio
import httpx

from server.errors import InvalidRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a host and a port to its addresses. Raises OSError if there are none."""

NAMES = {"image": "image", "audio": "sound"}
"""What messages call a file of each kind."""
ARTICLED = {"image": "an image", "audio": "a sound"}

_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """By the system's resolver."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet, looking through IPv6 forms that carry an IPv4 address."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


class MediaClient:
    """Fetches files by URL.

    kind: what they must be, by the answer's media type and in messages.
    hosts: those allowed, as `example.com` (on its scheme's own port) or `example.com:8443`. limit: most bytes of
    a file. timeout: seconds for all of a fetch. resolve, permitted, verify: for tests.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        *,
        kind: Literal["image", "audio"] = "image",
        limit: int,
        timeout: float = 10.0,
        resolve: Resolve = system_resolve,
        permitted: Callable[[Address], bool] = is_public,
    ) -> None:
        self._hosts = frozenset(host.lower().rstrip(".") for host in hosts)
        self._kind = kind
        self._name = NAMES[kind]
        self._limit = limit
        self._timeout = timeout
        self._resolve = resolve
        self._permitted = permitted

    async def fetch(self, url: str, param: str) -> bytes:
        """The bytes behind `url`. Raises InvalidRequest, with `param`, for all that goes wrong: the URL is input."""
        target = self._allowed(url, param)
        try:
            with anyio.fail_after(self._timeout):
                address = await self._address(target, param)
                return await self._get(target, address, param)
        except TimeoutError:
            raise InvalidRequest(f"The {self._name} could not be fetched in time.", param=param) from None
        except (httpx.HTTPError, OSError):
            raise InvalidRequest(f"The {self._name} could not be fetched.", param=param) from None

    def _allowed(self, url: str, param: str) -> httpx.URL:
        """The URL, if its host is one of those allowed. Nothing is looked up before this has passed."""
        if not self._hosts:
            message = f"{self._name.capitalize()}s by URL are not accepted here. Send the {self._name} as a data URI."
            raise InvalidRequest(message, param=param)
        try:
            target = httpx.URL(url)
        except (httpx.InvalidURL, ValueError):
            raise InvalidRequest(f"The {self._name}'s URL is not valid.", param=param) from None
        if target.scheme not in _PORTS or not target.host or target.userinfo:
            raise InvalidRequest(f"The {self._name}'s URL must be http or https, without a user name.", param=param)
        # The host as it goes over the wire, in ASCII: look-alikes in other scripts are other names.
        host = target.raw_host.decode("ascii").lower().rstrip(".")
        port = target.port or _PORTS[target.scheme]
        if f"{host}:{port}" not in self._hosts and not (host in self._hosts and port == _PORTS[target.scheme]):
            raise InvalidRequest(f"{self._name.capitalize()}s from this host are not accepted here.", param=param)
        return target

    async def _address(self, target: httpx.URL, param: str) -> Address:
        port = target.port or _PORTS[target.scheme]
        found = [ipaddress.ip_address(one.partition("%")[0]) for one in await self._resolve(target.host, port)]
        # One inner address among public ones is enough to refuse: the choice must not be luck.
        if not found or not all(self._permitted(address) for address in found):
            raise InvalidRequest(f"{self._name.capitalize()}s from this host are not accepted here.", param=param)
        return found[0]

    async def _get(self, target: httpx.URL, address: Address, param: str) -> bytes:
        # The connection goes to the address; the certificate is still checked against the name.
        pinned = target.copy_with(host=str(address))
        headers = {"Host": target.netloc.decode("ascii"), "Accept": f"{self._kind}/*", "Accept-Encoding": "identity"}
        # trust_env: a proxy from the environment would resolve the name again, and a .netrc send passwords.
        async with (
            httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=self._timeout) as client,
            client.stream("GET", pinned, headers=headers, extensions={"sni_hostname": target.host}) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise InvalidRequest(f"The {self._name}'s host answered with status {answer.status_code}.", param=param)
            if not answer.headers.get("content-type", "").lower().startswith(f"{self._kind}/"):
                message = f"What the {self._name}'s URL leads to is not {ARTICLED[self._kind]}."
                raise InvalidRequest(message, param=param)
            data = bytearray()
            # Raw: an answer that is compressed nevertheless is not what was asked for, and not unpacked to see.
            async for chunk in answer.aiter_raw():
                data += chunk
                if len(data) > self._limit:
                    raise InvalidRequest(
                        f"The {self._name} has more than {self._limit} bytes, which is the limit.", param=param
                    )
            return bytes(data)
