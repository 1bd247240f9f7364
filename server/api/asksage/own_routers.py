"""The routers about what callers have of their own, by prefix and by the scope that their keys need."""

from collections.abc import Mapping, Sequence

from fastapi import APIRouter

from server.api.asksage import (
    dataset_access,
    dataset_files,
    file_text,
    training,
    user_chats,
    user_credits,
    user_keys,
    user_logs,
)

OWN: Mapping[str, Sequence[APIRouter]] = {
    "/server": (dataset_files.router, training.router, file_text.router, user_logs.votes),
    "/user": (dataset_access.router, user_logs.router, user_chats.router, user_keys.router),
}
"""They need a key with the scope `inference`."""
ADMIN: Mapping[str, Sequence[APIRouter]] = {"/user": (user_credits.router,)}
"""They need one with the scope `admin`."""
