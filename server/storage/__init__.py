"""The database: connections, units of work, the SQLite file, and the migrations of every package that keeps rows."""
