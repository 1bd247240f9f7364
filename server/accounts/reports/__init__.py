"""What was used and charged, as rows for people and programs."""
