"""The OpenAI dialect. Each module exports `router`, whose paths are written without `/v1` (`/chat/completions`).

`server/app.py` mounts them under `/v1`, behind a key. What must be reached without one is in `public`, a router
of its own; a test walks the route table and knows each of those by name.
"""
