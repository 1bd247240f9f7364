"""Every container that FFmpeg's libraries write is read back; what is no audio is refused with a reason."""

import io
import random
import socket
import tempfile
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from server.errors import InvalidRequest
from server.media.audio_decode import RATE, AudioFile, Samples

SECONDS = 3.0
TONE = 440


def tone(rate: int, seconds: float = SECONDS) -> Samples:
    """A sine at a quarter of full scale."""
    return (8192 * np.sin(2 * np.pi * TONE * np.arange(round(rate * seconds)) / rate)).astype(np.int16)


def media(
    container: str, codec: str, *, rate: int = 48_000, layout: str = "mono", video: bool = False, **options: str
) -> bytes:
    """A file with the tone as its audio track, after a video track of the same length if asked."""
    with tempfile.NamedTemporaryFile() as file:  # an mp4 with its index in front needs to be a real file
        _write(file.name, container, codec, rate, layout, video, options)
        return Path(file.name).read_bytes()


def _write(path: str, container: str, codec: str, rate: int, layout: str, video: bool, options: dict[str, str]) -> None:
    with av.open(path, "w", format=container, options=options) as sink:
        picture: Any = None
        if video:
            picture = sink.add_stream("mpeg4", rate=5)
            picture.width = picture.height = 64
            picture.pix_fmt = "yuv420p"
        stream = sink.add_stream(codec, rate=rate, layout=layout)
        if picture is not None:
            for number in range(round(SECONDS * 5)):
                image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                image.pts = number
                sink.mux(picture.encode(image))
            sink.mux(picture.encode(None))
        frame = av.AudioFrame.from_ndarray(tone(rate)[None], format="s16", layout="mono")
        frame.sample_rate = rate
        frame.pts = 0
        resampler = av.AudioResampler(stream.format.name, layout, rate, frame_size=stream.frame_size or 1024)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            sink.mux(stream.encode(part))
        sink.mux(stream.encode(None))


def silent_film() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as sink:
        stream = sink.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for number in range(10):
            image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            image.pts = number
            sink.mux(stream.encode(image))
        sink.mux(stream.encode(None))
    return file.getvalue()


def picture() -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "png")
    return file.getvalue()


def wav(samples: Samples, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sink:
        sink.setnchannels(1)
        sink.setsampwidth(2)
        sink.setframerate(rate)
        sink.writeframes(samples.tobytes())
    return file.getvalue()


def samples_of(data: bytes, max_seconds: float = 60.0) -> Samples:
    with AudioFile(data, max_seconds=max_seconds) as audio:
        return audio.read(10**7)


def refusal(data: bytes, max_seconds: float = 60.0) -> str:
    with pytest.raises(InvalidRequest) as caught:
        samples_of(data, max_seconds)
    assert (caught.value.status, caught.value.param) == (400, "file")
    return caught.value.message


def pitch(samples: Samples) -> float:
    """Hertz of the strongest frequency."""
    return float(np.argmax(np.abs(np.fft.rfft(samples.astype(np.float64)))) * RATE / samples.size)


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [
        ("mp3", "libmp3lame", {"rate": 44_100, "layout": "stereo"}),
        ("mp3", "libmp3lame", {"rate": 22_050}),
        ("mp4", "aac", {"rate": 44_100, "layout": "stereo"}),
        ("mp4", "aac", {"rate": 44_100, "movflags": "faststart"}),
        ("adts", "aac", {}),
        ("ogg", "libopus", {}),
        ("mpegts", "mp2", {"layout": "stereo"}),
        ("flac", "flac", {"layout": "stereo"}),
        ("webm", "libopus", {"layout": "stereo"}),
        ("webm", "libopus", {"live": "1"}),
        ("wav", "pcm_s16le", {"rate": 8_000}),
        ("wav", "pcm_s16le", {"layout": "stereo"}),
        ("wav", "pcm_f32le", {"rate": 96_000, "layout": "5.1"}),
        ("aiff", "pcm_s16be", {}),
        ("mp4", "aac", {"video": True}),
        ("matroska", "libopus", {"video": True}),
    ],
)
def test_every_format_comes_out_as_16_khz_mono(container: str, codec: str, options: dict[str, Any]) -> None:
    with AudioFile(media(container, codec, **options), max_seconds=60) as audio:
        measured = audio.seconds
        samples = audio.read(10**7)
    assert samples.dtype == np.int16
    assert samples.ndim == 1
    assert samples.size / RATE == pytest.approx(SECONDS, abs=0.06)  # lossy codecs pad at both ends
    assert measured == pytest.approx(SECONDS, abs=0.1)
    assert pitch(samples) == pytest.approx(TONE, abs=1)
    assert 2000 < np.abs(samples[RATE : 2 * RATE]).max() < 12_000  # 5.1 comes out quieter


def test_reading_in_parts_is_reading_it_all() -> None:
    data = media("ogg", "libopus")
    whole = samples_of(data)
    with AudioFile(data, max_seconds=60) as audio:
        parts = [audio.read(7001) for _ in range(len(whole) // 7001 + 1)]
        assert audio.read(1).size == 0
    assert all(part.size == 7001 for part in parts[:-1])
    assert np.array_equal(np.concatenate(parts), whole)


def test_samples_at_16_khz_are_kept_as_they_are() -> None:
    samples = tone(RATE)
    assert np.array_equal(samples_of(wav(samples)), samples)


def test_streamed_wav_with_a_length_nobody_knew() -> None:
    """Programs that write WAV to a pipe can't go back to fill in the sizes."""
    data = bytearray(wav(tone(RATE)))
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    assert samples_of(bytes(data)).size == RATE * SECONDS


def test_damaged_packets_are_left_out() -> None:
    data = bytearray(media("mp3", "libmp3lame", rate=44_100))
    middle = len(data) // 2
    data[middle : middle + 600] = random.Random(1).randbytes(600)
    samples = samples_of(bytes(data))
    assert SECONDS - 0.5 < samples.size / RATE < SECONDS + 0.1


def test_an_empty_file() -> None:
    assert refusal(b"") == "The audio file is empty."


@pytest.mark.parametrize(
    "data",
    [
        random.Random(0).randbytes(50_000),
        b"Dear Sir, this is a letter and no sound at all.\n" * 100,
        bytes(10_000),
        b'{"audio": "none"}',
        b"<html><body>404</body></html>",
        b"ID3",
    ],
    ids=["random", "text", "zeros", "json", "html", "stub"],
)
def test_what_is_no_media(data: bytes) -> None:
    assert "not an audio file that can be read" in refusal(data)


@pytest.mark.parametrize("data", [silent_film(), picture()], ids=["film", "picture"])
def test_media_without_sound(data: bytes) -> None:
    assert refusal(data) == "The file holds no audio."


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [("flac", "flac", {}), ("webm", "libopus", {}), ("mp4", "aac", {"movflags": "faststart"})],
)
def test_a_file_that_is_cut_off(container: str, codec: str, options: dict[str, str]) -> None:
    data = media(container, codec, **options)
    message = refusal(data[: len(data) // 2])
    assert message.startswith("The audio file is cut off: it should last 3.0 seconds, but holds only 1.")


@pytest.mark.parametrize("share", [0.5, 0.001])
def test_an_mp4_cut_off_before_its_index(share: float) -> None:
    data = media("mp4", "aac")
    assert "damaged or cut off" in refusal(data[: round(len(data) * share)])


def test_half_an_mp3_is_an_mp3() -> None:
    """Its frames stand alone, and clients do split long ones by bytes."""
    data = media("mp3", "libmp3lame", rate=44_100)
    assert samples_of(data[: len(data) // 2]).size / RATE == pytest.approx(SECONDS / 2, abs=0.2)


def test_too_long_is_refused_before_it_is_decoded() -> None:
    data = media("flac", "flac")
    assert refusal(data, 2.5) == "The audio is longer than 2.5 seconds, the most that this model takes."


def test_a_header_with_no_samples() -> None:
    assert samples_of(wav(np.empty(0, np.int16))).size == 0


def test_a_playlist_opens_no_file(tmp_path: Path) -> None:
    """FFmpeg takes lists of other files for containers; none of them may be opened."""
    (tmp_path / "secret.mp3").write_bytes(media("mp3", "libmp3lame"))
    concat = f"ffconcat version 1.0\nfile {tmp_path}/secret.mp3\n"
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{tmp_path}/secret.mp3\n#EXT-X-ENDLIST\n"
    for text in (concat, playlist):
        assert "not an audio file" in refusal(text.encode())


def test_a_session_description_opens_no_socket() -> None:
    """FFmpeg would listen on the port that an SDP names, and wait there for 20 seconds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sdp = f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n"
    assert "not an audio file" in refusal(sdp.encode())
