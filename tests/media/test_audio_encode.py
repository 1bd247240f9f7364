"""The streaming encoder: what comes out decodes, lasts as long as what went in, and comes out on the way."""

import io
import struct
import wave
from fractions import Fraction

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from server.core import AudioFormat
from server.media.audio_encode import RATE, AudioEncoder, wav_header

SOURCE_RATE = 22_050
FORMATS: tuple[AudioFormat, ...] = ("mp3", "opus", "aac", "flac", "wav", "pcm")
# What a codec may add: priming and padding, in whole frames.
SLACK: dict[AudioFormat, int] = {"mp3": 4 * 576, "opus": 960, "aac": 3 * 1024, "flac": 0, "wav": 0, "pcm": 0}


def tone(seconds: float, hertz: float = 440.0, rate: int = SOURCE_RATE) -> NDArray[np.float32]:
    time = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def encoded(kind: AudioFormat, parts: list[NDArray[np.float32]], rate: int = SOURCE_RATE) -> list[bytes]:
    with AudioEncoder(kind, rate) as encoder:
        return [*(encoder.feed(part) for part in parts), encoder.finish()]


def decoded(kind: AudioFormat, data: bytes) -> tuple[NDArray[np.float32], int]:
    """Samples, shape [n], at the rate of the file."""
    if kind == "pcm":
        return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768), RATE
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.channels == 1
        to_float = av.AudioResampler(format="flt", layout="mono")
        frames = [out for frame in container.decode(stream) for out in to_float.resample(frame)]
        frames += to_float.resample(None)
        return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]), frames[0].sample_rate


def pitch(samples: NDArray[np.float32], rate: int) -> float:
    """The strongest frequency in hertz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(np.argmax(spectrum) * rate / samples.size)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_decodes_to_the_same_length_rate_and_pitch(kind: AudioFormat) -> None:
    parts = [tone(1.0), tone(0.513), tone(1.2)]
    samples, rate = decoded(kind, b"".join(encoded(kind, parts)))
    assert rate == (48_000 if kind == "opus" else RATE)  # Opus always decodes at 48 kHz
    expected = round(sum(part.size for part in parts) * Fraction(rate, SOURCE_RATE))
    assert expected - 2 <= samples.size <= expected + 2 + SLACK[kind] * rate // RATE
    assert pitch(samples[: rate // 2], rate) == pytest.approx(440, abs=3)
    loudness = float(np.sqrt(np.mean(samples[rate // 10 : -rate // 10] ** 2)))
    assert loudness == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("kind", FORMATS)
def test_bytes_leave_with_each_sentence(kind: AudioFormat) -> None:
    chunks = encoded(kind, [tone(0.8), tone(0.8), tone(0.8)])
    total = sum(map(len, chunks))
    for chunk in chunks[:3]:
        assert len(chunk) > total / 5
    # Not more than a fraction of a second is kept back until the end.
    assert len(chunks[3]) < total / 5


@pytest.mark.parametrize("kind", FORMATS)
def test_a_few_milliseconds_are_a_file_too(kind: AudioFormat) -> None:
    samples, rate = decoded(kind, b"".join(encoded(kind, [tone(0.005)])))
    assert samples.size >= round(0.004 * rate)


def test_nothing_fed_is_an_end_without_error() -> None:
    for kind in FORMATS:
        assert len(encoded(kind, [])) == 1


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 44_100])
def test_pcm_keeps_every_sample_whatever_the_voice_s_rate(rate: int) -> None:
    parts = [tone(0.31, rate=rate), tone(0.0, rate=rate), tone(1.01, rate=rate)]
    data = b"".join(encoded("pcm", parts, rate))
    fed = sum(part.size for part in parts)
    assert abs(len(data) // 2 - fed * RATE / rate) <= 2


def test_resampling_has_no_seam_between_sentences() -> None:
    whole = tone(2.0)
    once = np.frombuffer(b"".join(encoded("pcm", [whole])), "<i2")
    parts = [whole[:1000], whole[1000:1001], whole[1001:30000], whole[30000:]]
    cut = np.frombuffer(b"".join(encoded("pcm", parts)), "<i2")
    assert once.size == cut.size
    assert int(np.abs(once.astype(int) - cut.astype(int)).max()) <= 1


def test_pcm_is_little_endian_and_clips_rather_than_wraps() -> None:
    loud = np.full(RATE, 1.5, np.float32)
    samples = np.frombuffer(b"".join(encoded("pcm", [loud], RATE)), "<i2")
    assert samples.size == RATE
    assert set(samples.tolist()) == {32767}


def test_wav_of_unknown_length_reads_in_python_s_strict_reader() -> None:
    data = b"".join(encoded("wav", [tone(1.0), tone(0.5)]))
    pcm = b"".join(encoded("pcm", [tone(1.0), tone(0.5)]))
    assert data == wav_header() + pcm
    with wave.open(io.BytesIO(data)) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, RATE)
        assert reader.readframes(reader.getnframes()) == pcm


def test_wav_header_says_that_the_length_is_unknown() -> None:
    header = wav_header()
    assert len(header) == 44
    assert (header[:4], header[8:16], header[36:40]) == (b"RIFF", b"WAVEfmt ", b"data")
    assert struct.unpack_from("<I", header, 4) == struct.unpack_from("<I", header, 40) == (0xFFFFFFFF,)


def test_magic_numbers_are_those_of_the_formats() -> None:
    begins = {kind: b"".join(encoded(kind, [tone(0.5)]))[:4] for kind in FORMATS}
    assert begins["mp3"][0] == 0xFF  # the sync word at once, no ID3 tag before it
    assert begins["mp3"][1] & 0xE6 == 0xE2
    assert begins["opus"] == b"OggS"
    assert begins["aac"][0] == 0xFF
    assert begins["aac"][1] & 0xF6 == 0xF0
    assert begins["flac"] == b"fLaC"
    assert begins["wav"] == b"RIFF"


def test_leaving_early_frees_the_encoder() -> None:
    with AudioEncoder("opus", SOURCE_RATE) as encoder:
        encoder.feed(tone(0.5))
    encoder.close()
