"""The path of every request, whatever dialect it came in: read `run.py` first."""
