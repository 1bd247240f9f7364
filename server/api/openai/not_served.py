"""Parts of the OpenAI API that are not served, and what to use instead."""

from collections.abc import Mapping

INSTEAD: Mapping[str, str] = {
    "assistants": "Keep the conversation in your program, and send it to /v1/chat/completions.",
    "threads": "Keep the conversation in your program, and send it to /v1/chat/completions.",
    "conversations": "Keep the conversation in your program, and send it to /v1/chat/completions.",
    "realtime": "Use /v1/audio/transcriptions, /v1/chat/completions and /v1/audio/speech; all three can stream.",
    "fine_tuning": "Train elsewhere; `adapters` in a model's config serves a LoRA adapter under a name of its own.",
    "vector_stores": "Embed by /v1/embeddings, keep the vectors in your own store; /v1/rerank orders what it finds.",
    "uploads": "Send the file whole to /v1/files.",
    "videos": "No model here makes videos; /v1/images/generations makes pictures.",
    "evals": "Run them in your program, against /v1/chat/completions.",
    "graders": "Run them in your program, against /v1/chat/completions.",
    "containers": "Call functions of your own by `tools` of /v1/chat/completions.",
    "skills": "Call functions of your own by `tools` of /v1/chat/completions.",
    "chatkit": "Use /v1/chat/completions.",
    "organization": "Accounts, keys, limits and usage are under /admin/v1, and by the command `sagehold`.",
}
"""By the first segment of the path behind /v1."""


def instead_of(path: str) -> str | None:
    """What to use in place of a path under /v1 that is not served; None where nothing comes near."""
    return INSTEAD.get(path.removeprefix("/v1/").partition("/")[0])
