"""Sounds in chat messages as vLLM gets them: read by our own decoder, which opens nothing else and knows when to stop.

vLLM's would decode a whole file before it looks at the length, and lets FFmpeg take a playlist for a sound, with files
and hosts of the client's choosing in it.
"""

import base64
from collections.abc import Sequence
from dataclasses import replace

from anyio import to_thread

from server.core import ChatJob, Sound, sounds_of, with_parts
from server.engines.vllm.options import VllmOptions
from server.errors import InvalidRequest
from server.media.audio_decode import RATE, AudioFile
from server.media.wav import as_wav


async def prepared(job: ChatJob, options: VllmOptions) -> ChatJob:
    """The job with each sound as 16 kHz mono WAV, which is what the models' feature extractors hear.

    Raises InvalidRequest that names the part: for a model without ears, of what is no sound, and of what is too long.
    """
    sounds = sounds_of(job.messages)
    if not sounds:
        return job
    if not options.audio:
        raise InvalidRequest("This model does not hear sound.", param=sounds[0].param)
    waves = await to_thread.run_sync(_decoded, sounds, options.max_audio_seconds)
    parts = {
        (sound.message, sound.place): {
            "type": "input_audio",
            "input_audio": {"data": base64.b64encode(wave).decode(), "format": "wav"},
        }
        for sound, wave in zip(sounds, waves, strict=True)
    }
    return replace(job, messages=with_parts(job.messages, parts))


def _decoded(sounds: Sequence[Sound], most: float) -> list[bytes]:
    """most: seconds of all of them together. The lengths are known before anything is decoded."""
    files: list[AudioFile] = []
    try:
        seconds = 0.0
        for sound in sounds:
            try:
                files.append(AudioFile(sound.data, max_seconds=most))
            except InvalidRequest as refused:
                raise InvalidRequest(refused.message, param=sound.param) from None
            seconds += files[-1].seconds
            if seconds > most:
                raise too_long(most, sound)
        return [_wave(sound, file, most) for sound, file in zip(sounds, files, strict=True)]
    finally:
        for file in files:
            file.close()


def _wave(sound: Sound, file: AudioFile, most: float) -> bytes:
    try:
        samples = file.read(round((most + 1) * RATE))
    except InvalidRequest as refused:  # it is longer than its packets said
        raise InvalidRequest(refused.message, param=sound.param) from None
    if not samples.size:
        raise InvalidRequest("No audio could be decoded from the file.", param=sound.param)
    return as_wav(samples.tobytes(), RATE)


def too_long(most: float, sound: Sound) -> InvalidRequest:
    return InvalidRequest(
        f"The sounds in these messages are longer than {most:g} seconds together, the most that this model takes.",
        param=sound.param,
    )
