"""English in numbers and words: read aloud, and compared for word errors."""
