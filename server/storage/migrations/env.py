"""Alembic's entry: runs the revisions on the connection, and in the transaction, that `Database.migrate` opened."""

from alembic import context

from server.storage.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite's DDL is transactional; Alembic's default for it is not.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
