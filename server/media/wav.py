"""A WAV header for samples that have none. No codec is needed for it, so the front end may import this."""

import io
import wave


def as_wav(samples: bytes, rate: int) -> bytes:
    """samples: 16 bits each, little endian, mono. rate: samples a second."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sink:
        sink.setnchannels(1)
        sink.setsampwidth(2)
        sink.setframerate(rate)
        sink.writeframes(samples)
    return file.getvalue()
