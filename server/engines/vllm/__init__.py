"""Chat by vLLM, in process: the only package that touches vLLM's internals, which move between releases.

options.py    what a model's config may set
engine.py     start, stop, sleep; one job becomes one stream of events
prompt.py     a chat job in vLLM's own words: rendering, sampling, structured outputs
schema_limits.py  how big a JSON Schema may be that an answer must obey
output.py     vLLM's outputs in ours: text, reasoning, tool calls, log-probabilities
forkserver.py processes that inherit vLLM's imports instead of repeating them
processes.py  what such a process inherits, and whose end is its own
caches.py     what vLLM's caches keep of a model that has stopped
heap.py       imports without the garbage collector
hardware.py   what the processor or GPU makes the sensible default
"""
