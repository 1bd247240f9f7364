"""Accounts can be closed and weighted, and keys have a class of priority."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
    # What is there already gets the defaults: SQLite adds no column that must have a value without one.
    op.add_column("accounts", sa.Column("weight", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("api_keys", sa.Column("priority", sa.String(10), nullable=False, server_default="normal"))


def downgrade() -> None:
    op.drop_column("api_keys", "priority")
    op.drop_column("accounts", "weight")
    op.drop_column("accounts", "closed_at")
