"""Files that clients keep here: rows in the database, bytes in the data folder as `files/<id>`."""
