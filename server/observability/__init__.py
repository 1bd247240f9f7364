"""What the operator sees of each request.

record.py      a request's record: its id, times, model and usage
logs.py        log lines, the request's own among them
raw_output.py  what libraries print, led into relay.py, a process that makes log lines of it
metrics.py     Prometheus metrics; joined.py, those that several engines keep
tracing.py     OpenTelemetry traces
"""

from server.observability.logs import JsonLines, TextLines, configure_logging, log_request
from server.observability.metrics import Metrics
from server.observability.record import RequestRecord, request_id

__all__ = ["JsonLines", "Metrics", "RequestRecord", "TextLines", "configure_logging", "log_request", "request_id"]
