"""What outlives a request: files, batches, kept responses and conversations."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)


def _account(table: str) -> sa.Column[str]:
    key = sa.ForeignKey("accounts.id", name=f"fk_{table}_account_id_accounts")
    return sa.Column("account_id", sa.String(32), key, nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def _response(table: str) -> sa.Column[int]:
    key = sa.ForeignKey("responses.number", ondelete="CASCADE", name=f"fk_{table}_response_number_responses")
    return sa.Column("response_number", SERIAL, key, primary_key=True, autoincrement=False)


def upgrade() -> None:
    op.create_table(
        "files",
        sa.Column("number", SERIAL, primary_key=True),
        sa.Column("id", sa.String(40), nullable=False),
        _account("files"),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT),
        sa.UniqueConstraint("id", name="uq_files_id"),
    )
    op.create_index("ix_files_account_id_number", "files", ["account_id", "number"])
    op.create_index("ix_files_expires_at", "files", ["expires_at"])
    op.create_table(
        "batches",
        sa.Column("number", SERIAL, primary_key=True),
        sa.Column("id", sa.String(40), nullable=False),
        _account("batches"),
        sa.Column("key_id", sa.String(32), sa.ForeignKey("api_keys.id", name="fk_batches_key_id_api_keys")),
        sa.Column("endpoint", sa.String(64), nullable=False),
        sa.Column("input_file_id", sa.String(40), nullable=False),
        sa.Column("output_file_id", sa.String(40)),
        sa.Column("error_file_id", sa.String(40)),
        sa.Column("completion_window", sa.String(8), nullable=False),
        sa.Column("status", sa.String(12), nullable=False),
        sa.Column("model", sa.String(160)),
        sa.Column("metadata", sa.Text()),
        sa.Column("errors", sa.Text()),
        sa.Column("usage", sa.Text()),
        _count("total"),
        _count("completed"),
        _count("failed"),
        sa.Column("paused", sa.String(24)),
        sa.Column("pause_message", sa.Text()),
        sa.Column("paused_at", INSTANT),
        sa.Column("output_seconds", sa.Integer()),
        sa.Column("instance_id", sa.String(32)),
        sa.Column("seen_at", INSTANT),
        sa.Column("claims", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("in_progress_at", INSTANT),
        sa.Column("finalizing_at", INSTANT),
        sa.Column("completed_at", INSTANT),
        sa.Column("failed_at", INSTANT),
        sa.Column("expired_at", INSTANT),
        sa.Column("cancelling_at", INSTANT),
        sa.Column("cancelled_at", INSTANT),
        sa.UniqueConstraint("id", name="uq_batches_id"),
    )
    op.create_index("ix_batches_account_id_number", "batches", ["account_id", "number"])
    op.create_index("ix_batches_status", "batches", ["status"])
    op.create_table(
        "responses",
        sa.Column("number", SERIAL, primary_key=True),
        sa.Column("id", sa.String(64), nullable=False),
        _account("responses"),
        sa.Column("previous_id", sa.String(64)),
        sa.Column("conversation_id", sa.String(64)),
        sa.Column("conversation_item", sa.BigInteger()),
        sa.Column("status", sa.String(12), nullable=False),
        sa.Column("background", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("streamed", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("instance_id", sa.String(32)),
        sa.Column("seen_at", INSTANT),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        # Last: SQLite reads past what is before a column, and these are long.
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("items", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("id", name="uq_responses_id"),
    )
    op.create_index("ix_responses_account_id_expires_at_size", "responses", ["account_id", "expires_at", "size"])
    op.create_index("ix_responses_status", "responses", ["status"])
    op.create_index("ix_responses_expires_at", "responses", ["expires_at"])
    op.create_table(
        "response_items",
        _response("response_items"),
        sa.Column("id", sa.String(64), primary_key=True),
    )
    op.create_index("ix_response_items_id", "response_items", ["id"])
    op.create_table(
        "response_events",
        _response("response_events"),
        sa.Column("first", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.Column("events", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "conversations",
        sa.Column("number", SERIAL, primary_key=True),
        sa.Column("id", sa.String(64), nullable=False),
        _account("conversations"),
        sa.Column("metadata", sa.LargeBinary()),
        _count("size"),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.UniqueConstraint("id", name="uq_conversations_id"),
    )
    op.create_index(
        "ix_conversations_account_id_expires_at_size", "conversations", ["account_id", "expires_at", "size"]
    )
    op.create_index("ix_conversations_expires_at", "conversations", ["expires_at"])
    conversation = sa.ForeignKey(
        "conversations.number", ondelete="CASCADE", name="fk_conversation_items_conversation_number_conversations"
    )
    op.create_table(
        "conversation_items",
        sa.Column("number", SERIAL, primary_key=True),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("conversation_number", SERIAL, conversation, nullable=False),
        sa.Column("item", sa.LargeBinary(), nullable=False),
    )
    op.create_index(
        "uq_conversation_items_id_conversation_number", "conversation_items", ["id", "conversation_number"], unique=True
    )
    op.create_index(
        "ix_conversation_items_conversation_number_number", "conversation_items", ["conversation_number", "number"]
    )


def downgrade() -> None:
    for table in (
        "conversation_items",
        "conversations",
        "response_events",
        "response_items",
        "responses",
        "batches",
        "files",
    ):
        op.drop_table(table)
