"""The tables of files, batches and kept responses, as the newest migration leaves them."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from server.storage.columns import UtcDateTime
from server.storage.tables import Base, Serial


class FileRow(Base):
    """A file that a client keeps here; its bytes lie in the data folder as `files/<id>`. filename is what the client
    called it, for people and never a path. purpose: batch, batch_output, user_data, vision, assistants, evals.
    """

    __tablename__ = "files"
    __table_args__ = (Index("ix_files_account_id_number", "account_id", "number"),)

    number: Mapped[int] = mapped_column(Serial, primary_key=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    filename: Mapped[str] = mapped_column(String(255))
    purpose: Mapped[str] = mapped_column(String(16))
    size: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)


class BatchRow(Base):
    """A batch of requests. key_id: who gave the order, and pays for it. status: as the API has it. counts: of lines.

    details, errors, usage: JSON. paused: why nothing of it is begun just now, None while it goes on; pause_message says
    so in words. instance_id, seen_at: the server process that works on it, and when it last said so; claims: how often
    one has taken it on. What belongs to it lies in the data folder as `batches/<id>/`.
    """

    __tablename__ = "batches"
    __table_args__ = (
        Index("ix_batches_account_id_number", "account_id", "number"),
        Index("ix_batches_status", "status"),
    )

    number: Mapped[int] = mapped_column(Serial, primary_key=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    key_id: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id"))
    endpoint: Mapped[str] = mapped_column(String(64))
    input_file_id: Mapped[str] = mapped_column(String(40))
    output_file_id: Mapped[str | None] = mapped_column(String(40))
    error_file_id: Mapped[str | None] = mapped_column(String(40))
    completion_window: Mapped[str] = mapped_column(String(8))
    status: Mapped[str] = mapped_column(String(12))
    model: Mapped[str | None] = mapped_column(String(160))
    details: Mapped[str | None] = mapped_column("metadata", Text)
    errors: Mapped[str | None] = mapped_column(Text)
    usage: Mapped[str | None] = mapped_column(Text)
    total: Mapped[int] = mapped_column(BigInteger, server_default="0")
    completed: Mapped[int] = mapped_column(BigInteger, server_default="0")
    failed: Mapped[int] = mapped_column(BigInteger, server_default="0")
    paused: Mapped[str | None] = mapped_column(String(24))
    pause_message: Mapped[str | None] = mapped_column(Text)
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    output_seconds: Mapped[int | None]
    instance_id: Mapped[str | None] = mapped_column(String(32))
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    claims: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    in_progress_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finalizing_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancelling_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ResponseRow(Base):
    """A kept response. body: the response object, items: the input items of this turn alone, both JSON, sealed where
    the setting says so; size: bytes of both and of the events, and some for the row. previous_id: the response that it
    goes on from. conversation_item: the number of the conversation's last item once this turn was added to it.
    streamed: whether its events are kept. instance_id, seen_at: the server process that works on it in the background,
    and when it last said so.
    """

    __tablename__ = "responses"
    __table_args__ = (
        Index("ix_responses_account_id_expires_at_size", "account_id", "expires_at", "size"),
        Index("ix_responses_status", "status"),
    )

    number: Mapped[int] = mapped_column(Serial, primary_key=True)
    id: Mapped[str] = mapped_column(String(64), unique=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    previous_id: Mapped[str | None] = mapped_column(String(64))
    conversation_id: Mapped[str | None] = mapped_column(String(64))
    conversation_item: Mapped[int | None] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(12))
    background: Mapped[bool] = mapped_column(server_default="0")
    streamed: Mapped[bool] = mapped_column(server_default="0")
    size: Mapped[int] = mapped_column(BigInteger)
    instance_id: Mapped[str | None] = mapped_column(String(32))
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    items: Mapped[bytes] = mapped_column(LargeBinary)


class ResponseItemRow(Base):
    """Which response an item is of, input or output. Its id may be one that a client has chosen."""

    __tablename__ = "response_items"

    response_number: Mapped[int] = mapped_column(ForeignKey("responses.number", ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)


class ResponseEventsRow(Base):
    """Events of a background response's stream that follow each other, from the sequence number `first` to `last`."""

    __tablename__ = "response_events"

    response_number: Mapped[int] = mapped_column(ForeignKey("responses.number", ondelete="CASCADE"), primary_key=True)
    first: Mapped[int] = mapped_column(primary_key=True)
    last: Mapped[int]
    events: Mapped[bytes] = mapped_column(LargeBinary)


class ConversationRow(Base):
    """A conversation, whose items are kept apart from responses. details: its metadata, JSON, sealed where the
    setting says so; size: bytes of it and of the items, and some for each row.
    """

    __tablename__ = "conversations"
    __table_args__ = (Index("ix_conversations_account_id_expires_at_size", "account_id", "expires_at", "size"),)

    number: Mapped[int] = mapped_column(Serial, primary_key=True)
    id: Mapped[str] = mapped_column(String(64), unique=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    details: Mapped[bytes | None] = mapped_column("metadata", LargeBinary)
    size: Mapped[int] = mapped_column(BigInteger, server_default="0")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class ConversationItemRow(Base):
    """An item of a conversation, in the order of its number. Its id may be one that a client has chosen, and is the
    item's alone within the conversation.
    """

    __tablename__ = "conversation_items"
    __table_args__ = (
        Index("ix_conversation_items_conversation_number_number", "conversation_number", "number"),
        Index("uq_conversation_items_id_conversation_number", "id", "conversation_number", unique=True),
    )

    number: Mapped[int] = mapped_column(Serial, primary_key=True)
    id: Mapped[str] = mapped_column(String(64))
    conversation_number: Mapped[int] = mapped_column(ForeignKey("conversations.number", ondelete="CASCADE"))
    item: Mapped[bytes] = mapped_column(LargeBinary)
