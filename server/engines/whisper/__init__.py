"""Transcription by faster-whisper."""
