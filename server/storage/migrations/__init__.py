"""Alembic's scripts. They run by themselves at start; see `server/storage/database.py`."""
