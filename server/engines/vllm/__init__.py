"""Chat by vLLM, in process: the only package that touches vLLM's internals, which move between releases.

options.py    what a model's config may set
check.py      what is wrong with a config before anything is loaded: vocabulary.py (vLLM's own lists), honoured.py (this
              machine), template.py, adapters.py (files); each finding is a complaint.py
root_cause.py why vLLM's processes died of a load
engine_args.py  the options in the words of vLLM's AsyncEngineArgs
engine.py     start, stop, sleep; a job is read
reading.py    a job that has been read, and the events of its run
prompt.py     a chat job in vLLM's own words, rendered and tokenized
sampling.py   how its tokens are drawn
grammar.py    the form that its answer must have
text_form.py  patterns, choices, grammars and tags
schema_form.py  a JSON Schema as llguidance is given it: schema_document.py (references), schema_keywords.py,
              schema_joined.py and schema_overlap.py (what several schemas say of one value), schema_ends.py and
              schema_depth.py (what recursion comes to), schema_readers.py (llguidance, and the check)
answer_check.py  whether a finished answer has its form
refusals.py   what vLLM finds wrong with a request, in words for its client
schema_limits.py  how big a JSON Schema may be that an answer must obey
output.py     vLLM's outputs in ours: text, reasoning, tool calls, log-probabilities
forkserver.py processes that inherit vLLM's imports instead of repeating them
scheduler.py  vLLM's scheduler, in which the background yields; pace.py (how long its steps take)
seeds.py      requests' seeds on a processor
processes.py  what such a process inherits, and whose end is its own
caches.py     what vLLM's caches keep of a model that has stopped
heap.py       imports without the garbage collector
hardware.py   what is installed for which hardware, and the defaults that follow
environment.py  variables of vLLM's and CUDA's where ours differ from their defaults
sockets.py    where vLLM's processes have their sockets
releases.py   what differs between vLLM's releases
toolchain.py  what is needed to compile kernels for a GPU
"""
