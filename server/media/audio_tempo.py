"""A recording at another speed and the same pitch, by FFmpeg's filter: fast speech is understood better slowed."""

import av
import numpy as np

from server.media.audio_decode import RATE, Samples


def slowed(samples: Samples, tempo: float) -> Samples:
    """`samples`, mono at RATE, at `tempo` times their speed, 0.5–1: what was at second s is at s / tempo then."""
    if tempo == 1.0 or not samples.size:
        return samples
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_abuffer(sample_rate=RATE, format="s16", layout="mono", time_base=f"1/{RATE}"),
        graph.add("atempo", f"{tempo:g}"),
        graph.add("abuffersink"),
    ).configure()
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate, frame.pts = RATE, 0
    graph.push(frame)
    graph.push(None)
    parts: list[Samples] = []
    while True:
        try:
            parts.append(graph.pull().to_ndarray().reshape(-1))
        except (av.BlockingIOError, av.EOFError):
            return np.concatenate(parts)
