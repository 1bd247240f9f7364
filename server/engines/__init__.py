"""The engines: each turns a job into a stream of events, and knows nothing of HTTP, keys or money."""
