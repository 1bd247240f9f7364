"""Fetching a picture or a sound by URL, and saying what is wrong with it in a request's own words."""

from collections.abc import Callable, Sequence
from typing import Literal

from server.errors import InvalidRequest
from server.outbound.addresses import Address, Resolve, is_public, system_resolve
from server.outbound.fetch import EVERY_HOST, Fetcher, FetchError, Refusal

Kind = Literal["image", "audio", "file"]
NAMES = {"image": "image", "audio": "sound", "file": "file"}
"""What messages call a file of each kind."""
ARTICLED = {"image": "an image", "audio": "a sound", "file": "a file"}


class MediaClient:
    """Fetches files by URL, as `Fetcher` does, from hosts that are named.

    kind: what they must be, by the answer's media type and in messages; a file is anything. limit: most bytes of a
    file. timeout: seconds for all of a fetch. resolve, permitted: for tests.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        *,
        kind: Kind = "image",
        limit: int,
        timeout: float = 10.0,
        resolve: Resolve = system_resolve,
        permitted: Callable[[Address], bool] = is_public,
    ) -> None:
        self._kind = kind
        self._limit = limit
        named = [host for host in hosts if host != EVERY_HOST]
        self._fetcher = Fetcher(named, limit=limit, timeout=timeout, resolve=resolve, permitted=permitted)

    async def fetch(self, url: str, param: str) -> bytes:
        """The bytes behind `url`. Raises InvalidRequest, with `param`, for all that goes wrong: the URL is input."""
        try:
            accept, kinds = ("*/*", "") if self._kind == "file" else (f"{self._kind}/*", f"{self._kind}/")
            return (await self._fetcher.fetch(url, accept, [kinds])).data
        except FetchError as error:
            raise InvalidRequest(self._worded(error), param=param) from None

    def _worded(self, error: FetchError) -> str:
        name = NAMES[self._kind]
        match error.refusal:
            case Refusal.NOTHING_ALLOWED:
                return f"{name.capitalize()}s by URL are not accepted here. Send the {name} as a data URI."
            case Refusal.NOT_A_URL:
                return f"The {name}'s URL is not valid."
            case Refusal.NOT_HTTP:
                return f"The {name}'s URL must be http or https, without a user name."
            case Refusal.HOST:
                return f"{name.capitalize()}s from this host are not accepted here."
            case Refusal.STATUS:
                return f"The {name}'s host answered with status {error.status}."
            case Refusal.MEDIA_TYPE:
                return f"What the {name}'s URL leads to is not {ARTICLED[self._kind]}."
            case Refusal.COMPRESSED:
                return f"The {name}'s host sent it compressed, which was not asked for."
            case Refusal.TOO_LARGE:
                return f"The {name} has more than {self._limit} bytes, which is the limit."
            case Refusal.TOO_SLOW:
                return f"The {name} could not be fetched in time."
            case Refusal.FAILED:
                return f"The {name} could not be fetched."
