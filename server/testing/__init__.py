"""For tests of the API.

server.py    the real application and pipeline over fakes
exchange.py  one request to it, piece by piece
"""

from server.testing.exchange import Exchange
from server.testing.server import CALLER, KEY, FakeAccounts, FakePublicModel, FakeServer

__all__ = ["CALLER", "KEY", "Exchange", "FakeAccounts", "FakePublicModel", "FakeServer"]
