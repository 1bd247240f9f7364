"""English text as a careful person reads it aloud, on its way to a voice of espeak-ng."""
