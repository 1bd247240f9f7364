"""Sounds and pictures as files: read, written, sized. What api, pipeline and engines all need of them."""
