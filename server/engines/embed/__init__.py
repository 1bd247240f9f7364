"""Embeddings and scores by small encoders."""
