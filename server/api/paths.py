"""Clients join base URLs and paths in many ways: one set of routes serves them all, without redirects."""

import re

_SLASHES = re.compile("/{2,}")
_BARE = re.compile(
    r"^/(?:audio|batches|chat|completions|conversations|credits|detokenize|embeddings|files|images|models|moderations|rerank"
    r"|responses|score|tokenize|usage)(?:/|$)"
)
"""What is served under `/v1`, and is answered without it too: clients are given base URLs that lack it. Nothing at the
root has one of these names."""
_PREFIX = re.compile(r"^(?:/server/openai|/server|/openai)(?=/v1(?:/|$))")


def canonical(path: str) -> str:
    """`/server/v1//models/` and `/models` → `/v1/models`.

    Slashes inside a model's id stay, as long as they are single.
    """
    path = _SLASHES.sub("/", path)
    path = _PREFIX.sub("", path)
    if path.rstrip("/") == "/v2/rerank":  # Cohere's, in the form that vLLM answers it in
        return "/v1/rerank"
    if _BARE.match(path):
        path = f"/v1{path}"
    return path.rstrip("/") or "/"
