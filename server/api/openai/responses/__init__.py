"""The responses API: POST /responses and what belongs to it.

A request is a `Turn` (turn.py): its body, its own input items, and what came before. It becomes the same ChatJob as a
chat, and the run's events become output items (output.py), whole or as typed events (stream.py).
"""
