"""Files that a body holds in base64: data URIs (RFC 2397), and bare base64 where the API has that."""

import base64
import binascii

from server.api.openai.media_fetch import NAMES, Kind
from server.errors import InvalidRequest

EXAMPLES = {
    "image": "data:image/png;base64,…",
    "audio": "data:audio/wav;base64,…",
    "file": "data:application/pdf;base64,…",
}


def is_data(url: str) -> bool:
    return url[:5].lower() == "data:"


def decoded(url: str, kind: Kind, limit: int, param: str) -> bytes:
    """The bytes of a base64 data URI, read strictly. Raises InvalidRequest with `param`."""
    head, comma, body = url.partition(",")
    media_type, *parameters = head[5:].lower().split(";")
    of_kind = kind == "file" or media_type.startswith(f"{kind}/")
    if not comma or not of_kind or parameters[-1:] != ["base64"]:
        raise InvalidRequest(f"A data URI must look like {EXAMPLES[kind]}.", param=param)
    return decoded_base64(body, kind, limit, param)


def decoded_base64(body: str, kind: Kind, limit: int, param: str) -> bytes:
    """limit: most bytes. Raises InvalidRequest with `param`."""
    if len(body) // 4 * 3 > limit + 2:
        raise _too_large(kind, limit, param)
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        # ValueError: characters beyond ASCII
        raise InvalidRequest(f"The {NAMES[kind]}'s data is not valid base64.", param=param) from None
    if len(data) > limit:
        raise _too_large(kind, limit, param)
    return data


def _too_large(kind: Kind, limit: int, param: str) -> InvalidRequest:
    return InvalidRequest(f"The {NAMES[kind]} has more than {limit} bytes, which is the limit.", param=param)
