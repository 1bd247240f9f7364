"""Ask Sage's own samples for curl, as its guide prints them but for the host, the key, and a limit to the answer: the
starter model now and then says the same over and over, until its context is full minutes later.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.live import LiveServer
from tests.e2e.sage_checks import answered
from tests.e2e.test_seed_samples import curl

HOST = "https://api.asksage.ai"
KEY = "YOUR_API_KEY"
MODEL = '"model": "gpt-4o-mini",'

MESSAGES = r"""
curl -X POST 'https://api.asksage.ai/server/query' \
  -H 'x-access-tokens: YOUR_API_KEY' \
  -H 'Content-Type: application/json' \
  -d '{
    "model": "gpt-4o-mini",
    "messages": [
      {"role": "system", "content": "You are a helpful assistant."},
      {"role": "user", "content": "Explain quantum computing in simple terms."}
    ]
  }'
"""
MESSAGE = r"""
curl -X POST 'https://api.asksage.ai/server/query' \
  -H 'x-access-tokens: YOUR_API_KEY' \
  -H 'Content-Type: application/json' \
  -d '{
    "model": "gpt-4o-mini",
    "message": "What is machine learning?"
  }'
"""
BOTH = r"""
curl -X POST 'https://api.asksage.ai/server/query' \
  -H 'x-access-tokens: YOUR_API_KEY' \
  -H 'Content-Type: application/json' \
  -d '{
    "model": "gpt-4o-mini",
    "messages": [
      {"role": "user", "content": "Tell me about renewable energy."}
    ],
    "persona": 1,
    "limit_references": 5,
    "live": 1,
    "temperature": 0.7
  }'
"""


def sent(server: LiveServer, sample: str, folder: Path) -> Any:
    if shutil.which("curl") is None:
        pytest.fail("curl is needed here")
    assert MODEL in sample
    limited = sample.replace(MODEL, f'{MODEL} "max_tokens": 600,')
    return json.loads(curl(limited.replace(HOST, server.url).replace(KEY, server.key), folder))


def test_openai_messages(server: LiveServer, tmp_path: Path) -> None:
    answer = sent(server, MESSAGES, tmp_path)
    assert "quantum" in answered(answer).lower()
    assert answer["references"] == ""


def test_a_message(server: LiveServer, tmp_path: Path) -> None:
    assert "learn" in answered(sent(server, MESSAGE, tmp_path)).lower()


def test_messages_with_live_search_where_there_is_none(server: LiveServer, tmp_path: Path) -> None:
    """The answer is given, and what is missing is told in it, not only in the log."""
    answer = sent(server, BOTH, tmp_path)
    assert "energy" in answered(answer).lower()
    assert "Live search: " in answer["references"]
