"""What the Ask Sage dialect keeps of its users: questions, logins, chats."""

from server.storage.database import Database


class Users:
    """Each caller sees its own account's only."""

    def __init__(self, database: Database) -> None: ...
