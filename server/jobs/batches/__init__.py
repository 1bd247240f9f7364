"""Batches: files of requests that are worked off in the background, each answered once, whatever ends in between."""
