"""Every check, in the order in which they run: what tells most comes first; those that share a server, together."""

from scripts.acceptance.check import Check

CHECKS: tuple[Check, ...] = (
    Check(
        "packages",
        "Every engine's library can be imported",
        "all of them",
        "scripts.acceptance.packages:check",
        120,
    ),
    Check(
        "card",
        "torch computes on the GPU; driver, NVML, MIG",
        "compute capability ≥ 7.5, a driver for torch's CUDA, our bytes within 10%",
        "scripts.acceptance.card:check",
        90,
        needs_gpu=True,
    ),
    Check(
        "toolchain",
        "Compilers, headers and caches that kernels need",
        "gcc, Python.h, ninja, folders that can be written; on a GPU one compiled kernel",
        "scripts.acceptance.toolchain:check",
        120,
    ),
    Check(
        "libraries",
        "Libraries that CTranslate2 opens by name",
        "CUDA 12's cuBLAS found, float16 supported",
        "scripts.acceptance.libraries:check",
        60,
        needs_gpu=True,
    ),
    Check(
        "start",
        "The starter models start, on the GPU where there is one",
        "all ready; ≤ 120 s on a GPU, ≤ 240 s on a processor",
        "scripts.acceptance.start:check",
        60,
        stand="starters",
    ),
    Check(
        "answers",
        "One answer of each task is right",
        "Tokyo; the fox's nine words; a voice that is understood; a picture that isn't flat",
        "scripts.acceptance.answers:check",
        180,
        stand="starters",
    ),
    Check(
        "books",
        "What the ledger holds against what the machine reports",
        "within 10%, on each GPU and of the host",
        "scripts.acceptance.books:check",
        60,
        stand="starters",
    ),
    Check(
        "hangup",
        "A client that hangs up stops the work",
        "nothing runs after 2 s",
        "scripts.acceptance.hangup:check",
        60,
        stand="starters",
    ),
    Check(
        "transcription",
        "Transcription by the server against faster-whisper called directly",
        "≤ 1.25 of its time on a GPU, in float16",
        "scripts.acceptance.transcription:check",
        120,
        stand="starters",
    ),
    Check(
        "kill",
        "kill -9 of the front end",
        "no process left, port free and GPU memory back within 5 s",
        "scripts.acceptance.kill:check",
        60,
        stand="starters",
        ends_stand=True,
    ),
    Check(
        "alternation",
        "Two lazy chat models in turn, in memory for one",
        "20 turns (4 in the quick run), none lost; median wake ≤ 10 s on a GPU",
        "scripts.acceptance.alternation:check",
        240,
        stand="pair",
    ),
    Check(
        "sleep",
        "Sleep and wake (level 1)",
        "the same answer before and after; the GPU memory of weights and KV cache comes back",
        "scripts.acceptance.sleep:check",
        120,
        stand="pair",
        needs_gpu=True,
    ),
    Check(
        "stop",
        "A chat model that ends takes nothing with it",
        "its processes gone within 5 s, the server the same process and answering",
        "scripts.acceptance.stop:check",
        180,
        stand="tight",
    ),
    Check(
        "throughput",
        "scripts/bench chat against vLLM's own server",
        "≥ 0.95 of its tokens a second at 1, 16, 64 and 256 streams on a GPU",
        "scripts.acceptance.throughput:check",
        280,
    ),
    Check(
        "pictures",
        "Pictures of SDXL's size while chat holds its share",
        "none lost; chat keeps ≥ 0.25 of its tokens a second on a GPU",
        "scripts.acceptance.pictures:check",
        150,
        stand="shared",
    ),
)


def ordered(gpu: bool) -> tuple[Check, ...]:
    """The checks as they run here: on a processor, pictures and chat share the starters' stand, which `kill` ends."""
    if gpu:
        return CHECKS
    names = [check.name for check in CHECKS if check.name != "pictures"]
    names.insert(names.index("kill"), "pictures")
    return tuple(map(named, names))


def named(name: str) -> Check:
    """Raises KeyError."""
    return {check.name: check for check in CHECKS}[name]
