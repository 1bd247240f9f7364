"""Who a request comes from where a proxy stands in between, as far as the proxy is trusted to say so."""

import ipaddress
import re
from collections.abc import Iterable, Iterator

from starlette.types import Scope

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FIELD = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9a-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))\s*([;,]|$)', re.IGNORECASE)
"""A pair of a `Forwarded` header (RFC 7239, section 4), and what it ends with."""
MOST_HOPS = 32


class TrustedProxies:
    """Reads the client's address and scheme from `X-Forwarded-For` and `X-Forwarded-Proto`, or from `Forwarded`.

    The addresses are read from the right: each proxy adds the one that it was called from, and what stands to the left
    of the first that is not trusted was sent by the client, who may send anything. So with 10.0.0.0/8 trusted,
    `203.0.113.9, 198.51.100.7, 10.0.0.2` from 10.0.0.1 is 198.51.100.7. `Forwarded` counts only where there is no
    `X-Forwarded-For`: most proxies write the latter, and pass on the other as the client sent it.
    """

    def __init__(self, trusted: Iterable[str]) -> None:
        """trusted: addresses and networks of the proxies, `10.0.0.1` or `10.0.0.0/8`. Raises ValueError."""
        self._networks: list[Network] = [ipaddress.ip_network(one) for one in trusted]

    def resolve(self, scope: Scope) -> None:
        """Put the client's own address, and its scheme, into `scope`. The port of a client behind a proxy is 0."""
        client = scope.get("client")
        # A socket in the file system has no addresses: whoever may open that one is on this machine, and is not asked.
        if client is None or not self._trusts(client[0]):
            return
        headers = scope["headers"]
        if hops := _joined(headers, b"x-forwarded-for"):
            self._take(scope, [(address, None) for address in hops.split(",")])
            scheme: str | None = _joined(headers, b"x-forwarded-proto").rpartition(",")[2]
        else:
            scheme = self._take(scope, list(_elements(_joined(headers, b"forwarded"))))
        if scheme is not None and (scheme := scheme.strip().lower()) in ("http", "https"):
            scope["scheme"] = scheme

    def _take(self, scope: Scope, hops: list[tuple[str, str | None]]) -> str | None:
        """The client of the hops, nearest last. Returns the scheme that goes with it."""
        scheme = None
        for text, said in reversed(hops[-MOST_HOPS:]):
            if (address := _address(text)) is None:
                break  # `unknown`, a hidden name, or nonsense: the proxy that said so is the best that is known
            scope["client"], scheme = (address, 0), said
            if not self._trusts(address):
                break
        return scheme

    def _trusts(self, address: str) -> bool:
        try:
            parsed = _plain(ipaddress.ip_address(address))
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def _joined(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    return ",".join(value.decode("latin-1") for found, value in headers if found == name)


def _address(text: str) -> str | None:
    """`198.51.100.7`, `198.51.100.7:4711`, `2001:db8::1` or `[2001:db8::1]:4711`, without the port."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(_plain(ipaddress.ip_address(text)))
    except ValueError:
        return None


def _plain(address: Address) -> Address:
    """An IPv4 address as such, where IPv6 has it as ::ffff:198.51.100.7: it is one client by either."""
    return getattr(address, "ipv4_mapped", None) or address


def _elements(header: str) -> Iterator[tuple[str, str | None]]:
    """`for` and `proto` of each element of a `Forwarded` header; nothing more once it can't be read."""
    place, fields = 0, dict[str, str]()
    while place < len(header) and (found := FIELD.match(header, place)) is not None:
        name, quoted, plain, end = found.groups()
        fields[name.lower()] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        place = found.end()
        if end != ";":
            yield fields.get("for", ""), fields.get("proto")
            fields = {}
