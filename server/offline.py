"""Nothing is fetched or reported at run time: the switches of every library that would.

Called before any hub library is imported, in the front end and in every process it starts.
"""

import os

SWITCHES = {
    # Hugging Face: no look-ups, no downloads, no telemetry
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "DISABLE_TELEMETRY": "YES",
    # vLLM: no usage statistics, and no other hub
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "VLLM_USE_MODELSCOPE": "0",
    "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    # onnxruntime since 1.29 on Linux: events to its maker, and a device id in the home directory. Its own call,
    # disable_telemetry_events(), comes too late: the import has begun by then.
    "ORT_DISABLE_TELEMETRY": "1",
}


def go_offline() -> None:
    """Set the switches, over whatever the environment says: offline is a promise, not a default."""
    os.environ.update(SWITCHES)
