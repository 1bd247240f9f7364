"""Speech by piper voices."""
