"""The tables of knowledge, as the newest migration leaves them."""

from datetime import datetime

from sqlalchemy import BigInteger, Double, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from server.storage.columns import UtcDateTime
from server.storage.tables import Base, Serial


class DatasetRow(Base):
    """See `Dataset`. number: names the tables and indexes that a dataset has of its own (see search/). revision: grows
    by one with each change of what can be found in it, so that what is kept in memory can be known to be old.

    deleted_at: since when nobody sees it any more; its name is free for another one, and what it holds goes piece by
    piece (see removal.py). Whoever resolves a dataset by its id asks for NULL here.
    """

    __tablename__ = "datasets"
    __table_args__ = (UniqueConstraint("owner_id", "name"),)

    number: Mapped[int] = mapped_column(Serial, primary_key=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    classification: Mapped[str | None] = mapped_column(String(32))
    model: Mapped[str | None] = mapped_column(String(160))
    dimensions: Mapped[int | None]
    fusion: Mapped[str] = mapped_column(String(8), server_default="hybrid")
    keyword_weight: Mapped[float] = mapped_column(Double, server_default="1")
    dense_weight: Mapped[float] = mapped_column(Double, server_default="1")
    rerank: Mapped[bool] = mapped_column(server_default="0")
    revision: Mapped[int] = mapped_column(BigInteger, server_default="0")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AssignmentRow(Base):
    """See `Assignment`. permission: read, edit or admin; the owner has none of these rows."""

    __tablename__ = "dataset_assignments"

    dataset_number: Mapped[int] = mapped_column(ForeignKey("datasets.number", ondelete="CASCADE"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True, index=True)
    permission: Mapped[str] = mapped_column(String(8))


class DocumentRow(Base):
    """See `Document`. account_id, key_id: who added it, and pays for its ingestion; the command line has no key.

    state: one of `DocumentState`, or `deleted`: nobody sees it any more, and what it holds goes piece by piece (see
    removal.py).

    instance_id, seen_at: the server process that ingests it, and when it last said so; None while nobody does. What
    was added lies in the data folder as `documents/<id>` until it is ready, cancelled or deleted.
    """

    __tablename__ = "documents"
    __table_args__ = (
        Index("ix_documents_dataset_number_filename", "dataset_number", "filename"),
        Index("ix_documents_state", "state"),
        Index("ix_documents_dataset_number_state_chunks", "dataset_number", "state", "chunks"),  # what datasets count
    )

    number: Mapped[int] = mapped_column(Serial, primary_key=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    dataset_number: Mapped[int] = mapped_column(ForeignKey("datasets.number", ondelete="CASCADE"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    key_id: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id"))
    filename: Mapped[str] = mapped_column(String(255))
    context: Mapped[str] = mapped_column(Text, server_default="")
    size: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(10))
    done: Mapped[int] = mapped_column(BigInteger, server_default="0")
    total: Mapped[int] = mapped_column(BigInteger, server_default="0")
    chunks: Mapped[int] = mapped_column(BigInteger, server_default="0")
    tokens: Mapped[int] = mapped_column(BigInteger, server_default="0")
    attempts: Mapped[int] = mapped_column(server_default="0")
    error: Mapped[str | None] = mapped_column(Text)
    instance_id: Mapped[str | None] = mapped_column(String(32))
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ChunkRow(Base):
    """See `Chunk`. Found only if its document is ready. Its words and its vector are in its dataset's index (search/)."""

    __tablename__ = "chunks"
    __table_args__ = (Index("ix_chunks_document_number_place", "document_number", "place"),)

    number: Mapped[int] = mapped_column(Serial, primary_key=True)
    dataset_number: Mapped[int] = mapped_column(ForeignKey("datasets.number", ondelete="CASCADE"), index=True)
    document_number: Mapped[int] = mapped_column(ForeignKey("documents.number", ondelete="CASCADE"))
    place: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    heading: Mapped[str] = mapped_column(Text, server_default="")
    page: Mapped[int | None]
    start: Mapped[int] = mapped_column(BigInteger)
    end: Mapped[int] = mapped_column(BigInteger)


class VectorBlockRow(Base):
    """Vectors on SQLite, of chunks that follow each other in number from `first` on; see search/vectors.py. No block has
    chunks of two documents. A number never comes back: by it, what is kept in memory is known.
    """

    __tablename__ = "vector_blocks"
    __table_args__ = {"sqlite_autoincrement": True}

    number: Mapped[int] = mapped_column(Serial, primary_key=True)
    dataset_number: Mapped[int] = mapped_column(ForeignKey("datasets.number", ondelete="CASCADE"), index=True)
    document_number: Mapped[int] = mapped_column(ForeignKey("documents.number", ondelete="CASCADE"), index=True)
    first: Mapped[int] = mapped_column(BigInteger)
    size: Mapped[int]
    vectors: Mapped[bytes] = mapped_column(LargeBinary)


class PersonaRow(Base):
    """A persona that the admin API made or changed; see `Persona`."""

    __tablename__ = "personas"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(Text)
    prompt: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(server_default="1")
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ChatSessionRow(Base):
    """A chat that a client keeps here: its title, and what it put there as JSON."""

    __tablename__ = "chat_sessions"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    title: Mapped[str] = mapped_column(String(255))
    content: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PromptRow(Base):
    """A question and its answer, for `get-user-logs`. The texts are empty unless `asksage_keep_prompts` is on."""

    __tablename__ = "prompt_log"
    __table_args__ = (Index("ix_prompt_log_account_id_id", "account_id", "id"),)

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    uuid: Mapped[str] = mapped_column(String(36), index=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    ip: Mapped[str] = mapped_column(String(45))
    model: Mapped[str] = mapped_column(String(160))
    prompt: Mapped[str] = mapped_column(Text)
    completion: Mapped[str] = mapped_column(Text)
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    total_tokens: Mapped[int] = mapped_column(BigInteger)
    teach: Mapped[int] = mapped_column(server_default="0")
    downvoted: Mapped[bool] = mapped_column(server_default="0")


class LoginRow(Base):
    """A token exchange, for `get-user-logins`."""

    __tablename__ = "logins"
    __table_args__ = (Index("ix_logins_account_id_id", "account_id", "id"),)

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    ip: Mapped[str] = mapped_column(String(45))
    succeeded: Mapped[bool]
