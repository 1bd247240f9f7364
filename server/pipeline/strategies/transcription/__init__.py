"""Transcription: what was not heard surely is heard again."""
