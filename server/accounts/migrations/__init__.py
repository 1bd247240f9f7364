"""Alembic's scripts. They run by themselves at start; see `server/accounts/database.py`."""
