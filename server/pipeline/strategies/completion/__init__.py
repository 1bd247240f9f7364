"""Completions: the best of several."""
