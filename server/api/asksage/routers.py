"""The routers of the dialect, by prefix and by what they need."""

from collections.abc import Mapping, Sequence

from fastapi import APIRouter

from server.api.asksage import catalog, counts, follow_up, plugins, query, speech, tokens

KEYED: Mapping[str, Sequence[APIRouter]] = {
    "/server": (
        query.router,
        follow_up.router,
        plugins.router,
        catalog.router,
        counts.router,
        speech.router,
    ),
    "/user": (),
}
"""They need a key with the scope `inference`."""
PUBLIC: Mapping[str, Sequence[APIRouter]] = {"/server": (catalog.public,), "/user": (tokens.router,)}
"""They need none."""
