"""Speech: the best of several takes."""
