"""What answers may be drawn from: personas, datasets of documents, and search. knowledge.py has it in one object."""
