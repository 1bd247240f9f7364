"""Knowledge: datasets, documents, chunks, personas, and what the Ask Sage dialect keeps of its users."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
NOTHING = sa.text("''")


def _owner(table: str, column: str = "account_id", **options: Any) -> sa.Column[str]:
    return sa.Column(
        column, sa.String(32), sa.ForeignKey("accounts.id", name=f"fk_{table}_{column}_accounts"), **options
    )


def _of_dataset(table: str, **options: Any) -> sa.Column[int]:
    key = sa.ForeignKey("datasets.number", ondelete="CASCADE", name=f"fk_{table}_dataset_number_datasets")
    return sa.Column("dataset_number", SERIAL, key, nullable=False, **options)


def _of_document(table: str) -> sa.Column[int]:
    key = sa.ForeignKey("documents.number", ondelete="CASCADE", name=f"fk_{table}_document_number_documents")
    return sa.Column("document_number", SERIAL, key, nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def upgrade() -> None:
    op.create_table(
        "datasets",
        sa.Column("number", SERIAL, primary_key=True),
        sa.Column("id", sa.String(32), nullable=False),
        _owner("datasets", "owner_id", nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("classification", sa.String(32)),
        sa.Column("model", sa.String(160)),
        sa.Column("dimensions", sa.Integer()),
        sa.Column("fusion", sa.String(8), nullable=False, server_default="hybrid"),
        sa.Column("keyword_weight", sa.Double(), nullable=False, server_default="1"),
        sa.Column("dense_weight", sa.Double(), nullable=False, server_default="1"),
        sa.Column("rerank", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("revision", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("deleted_at", INSTANT),
        sa.UniqueConstraint("id", name="uq_datasets_id"),
        sa.UniqueConstraint("owner_id", "name", name="uq_datasets_owner_id_name"),
        sqlite_autoincrement=True,  # a deleted one's number must not come back: its tables are named after it
    )
    op.create_index("ix_datasets_owner_id", "datasets", ["owner_id"])
    op.create_table(
        "dataset_assignments",
        _of_dataset("dataset_assignments", primary_key=True),
        _owner("dataset_assignments", primary_key=True),
        sa.Column("permission", sa.String(8), nullable=False),
    )
    op.create_index("ix_dataset_assignments_account_id", "dataset_assignments", ["account_id"])
    op.create_table(
        "documents",
        sa.Column("number", SERIAL, primary_key=True),
        sa.Column("id", sa.String(32), nullable=False),
        _of_dataset("documents"),
        _owner("documents", nullable=False),
        sa.Column("key_id", sa.String(32), sa.ForeignKey("api_keys.id", name="fk_documents_key_id_api_keys")),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("context", sa.Text(), nullable=False, server_default=NOTHING),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        _count("done"),
        _count("total"),
        _count("chunks"),
        _count("tokens"),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("error", sa.Text()),
        sa.Column("instance_id", sa.String(32)),
        sa.Column("seen_at", INSTANT),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.UniqueConstraint("id", name="uq_documents_id"),
    )
    op.create_index("ix_documents_dataset_number_filename", "documents", ["dataset_number", "filename"])
    op.create_index("ix_documents_state", "documents", ["state"])
    op.create_index("ix_documents_dataset_number_state_chunks", "documents", ["dataset_number", "state", "chunks"])
    op.create_table(
        "chunks",
        sa.Column("number", SERIAL, primary_key=True),
        _of_dataset("chunks"),
        _of_document("chunks"),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("heading", sa.Text(), nullable=False, server_default=NOTHING),
        sa.Column("page", sa.Integer()),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_chunks_dataset_number", "chunks", ["dataset_number"])
    op.create_index("ix_chunks_document_number_place", "chunks", ["document_number", "place"])
    op.create_table(
        "vector_blocks",
        sa.Column("number", SERIAL, primary_key=True),
        _of_dataset("vector_blocks"),
        _of_document("vector_blocks"),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("vectors", sa.LargeBinary(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_vector_blocks_dataset_number", "vector_blocks", ["dataset_number"])
    op.create_index("ix_vector_blocks_document_number", "vector_blocks", ["document_number"])
    op.create_table(
        "personas",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("updated_at", INSTANT, nullable=False),
    )
    op.create_table(
        "chat_sessions",
        sa.Column("id", sa.String(36), primary_key=True),
        _owner("chat_sessions", nullable=False),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
    )
    op.create_index("ix_chat_sessions_account_id", "chat_sessions", ["account_id"])
    op.create_table(
        "prompt_log",
        sa.Column("id", SERIAL, primary_key=True),
        _owner("prompt_log", nullable=False),
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("ip", sa.String(45), nullable=False),
        sa.Column("model", sa.String(160), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("completion", sa.Text(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("total_tokens", sa.BigInteger(), nullable=False),
        sa.Column("teach", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("downvoted", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_index("ix_prompt_log_account_id_id", "prompt_log", ["account_id", "id"])
    op.create_index("ix_prompt_log_uuid", "prompt_log", ["uuid"])
    op.create_table(
        "logins",
        sa.Column("id", SERIAL, primary_key=True),
        _owner("logins", nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("ip", sa.String(45), nullable=False),
        sa.Column("succeeded", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_logins_account_id_id", "logins", ["account_id", "id"])
    # Accounts as the Ask Sage API names them: by a number, and by an e-mail address where they have one.
    op.add_column("accounts", sa.Column("number", sa.Integer()))
    op.add_column("accounts", sa.Column("email", sa.String(254)))
    op.execute(
        "UPDATE accounts SET number = (SELECT count(*) FROM accounts AS earlier WHERE earlier.created_at < "
        "accounts.created_at OR (earlier.created_at = accounts.created_at AND earlier.id <= accounts.id))"
    )
    op.create_index("uq_accounts_number", "accounts", ["number"], unique=True)
    op.create_index("uq_accounts_email", "accounts", ["email"], unique=True)


def downgrade() -> None:
    op.drop_index("uq_accounts_email", "accounts")
    op.drop_index("uq_accounts_number", "accounts")
    op.drop_column("accounts", "email")
    op.drop_column("accounts", "number")
    _drop_indexes()
    for table in ("logins", "prompt_log", "chat_sessions", "personas", "vector_blocks", "chunks", "documents"):
        op.drop_table(table)
    op.drop_table("dataset_assignments")
    op.drop_table("datasets")


def _drop_indexes() -> None:
    """What datasets have of their own; its names are known by server/knowledge/search/."""
    connection = op.get_bind()
    for number in connection.execute(sa.text("SELECT number FROM datasets")).scalars().all():
        for kind in ("fts", "words", "vectors"):
            op.execute(f"DROP TABLE IF EXISTS chunk_{kind}_{number}")
    if connection.dialect.name == "postgresql":
        op.execute("DROP TEXT SEARCH CONFIGURATION IF EXISTS sagehold_words")
        op.execute("DROP TEXT SEARCH DICTIONARY IF EXISTS sagehold_stem")
