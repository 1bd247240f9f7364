"""A parser for each kind of file: `parse(source, outline)`. They run in the child only, see child.py."""
