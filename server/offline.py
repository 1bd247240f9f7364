"""Nothing is fetched or reported at run time: every library that could is told so before it is imported."""

import os

OFFLINE = {
    # hub libraries: only what lies on this disk
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "DISABLE_TELEMETRY": "1",
    # vLLM: no usage statistics, no models by name from another hub
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "VLLM_USE_MODELSCOPE": "0",
    "DO_NOT_TRACK": "1",
    # the rest of the tree
    "ANONYMIZED_TELEMETRY": "False",
    "OTEL_SDK_DISABLED": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def go_offline() -> None:
    """Set the variables for this process and its children. Call first: the libraries read them on import."""
    os.environ.update(OFFLINE)
