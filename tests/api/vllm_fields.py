"""What becomes of each field of vLLM's chat requests here. tests/engines/vllm/test_sampling.py holds the table against
vLLM's own class, so that a new release's new fields are decided upon."""

from typing import Any

HONOURED: list[tuple[str, Any, str, Any]] = [
    ("frequency_penalty", 0.5, "frequency_penalty", 0.5),
    ("logit_bias", {"5": 1}, "logit_bias", {5: 1.0}),
    ("logprobs", True, "top_logprobs", 0),
    ("top_logprobs", 2, "top_logprobs", 2),
    ("max_tokens", 3, "max_tokens", 3),
    ("max_completion_tokens", 3, "max_tokens", 3),
    ("n", 2, "n", 2),
    ("presence_penalty", 0.5, "presence_penalty", 0.5),
    ("response_format", {"type": "json_object"}, "output_schema", {"type": "object"}),
    ("seed", 7, "seed", 7),
    ("stop", "x", "stop", ("x",)),
    ("temperature", 0.5, "temperature", 0.5),
    ("top_p", 0.5, "top_p", 0.5),
    ("reasoning_effort", "low", "reasoning_effort", "low"),
    ("parallel_tool_calls", False, "parallel_tool_calls", False),
    ("top_k", 5, "top_k", 5),
    ("min_p", 0.1, "min_p", 0.1),
    ("repetition_penalty", 1.1, "repetition_penalty", 1.1),
    ("stop_token_ids", [7, 8], "stop_token_ids", (7, 8)),
    ("include_stop_str_in_output", True, "include_stop_str_in_output", True),
    ("ignore_eos", True, "ignore_eos", True),
    ("min_tokens", 2, "min_tokens", 2),
    ("skip_special_tokens", False, "skip_special_tokens", False),
    ("spaces_between_special_tokens", False, "spaces_between_special_tokens", False),
    ("prompt_logprobs", 1, "prompt_logprobs", 1),
    ("allowed_token_ids", [7, 8], "allowed_token_ids", (7, 8)),
    ("bad_words", ["damn"], "bad_words", ("damn",)),
    ("cache_salt", "pepper", "cache_salt", "pepper"),
    ("return_token_ids", True, "token_ids", True),
    ("chat_template_kwargs", {"a": 1}, "chat_template_kwargs", {"a": 1}),
]
"""Field, value, the job's field, and its value there."""

OTHERS: dict[str, dict[str, Any]] = {"top_logprobs": {"logprobs": True}}
"""What a field needs beside it."""

ELSEWHERE = frozenset(
    (
        # How an answer looks, or how it is asked for: they have tests of their own.
        *("messages", "model", "stream", "stream_options", "tools", "tool_choice", "include_reasoning"),
        *("return_tokens_as_token_ids", "priority"),
        # How the prompt is written, and the answer's form: other tests.
        *("echo", "add_generation_prompt", "continue_final_message", "add_special_tokens", "documents"),
        *("chat_template", "truncate_prompt_tokens", "truncation_side", "structured_outputs"),
        *("media_io_kwargs", "mm_processor_kwargs"),
    )
)

REFUSED: list[tuple[str, Any]] = [
    ("use_beam_search", True),
    ("length_penalty", 0.5),
    ("early_stopping", True),
    ("best_of", 3),
    ("logits_processors", ["evil.module"]),
    ("logprob_token_ids", [1, 2]),
    ("thinking_token_budget", 5),
    ("repetition_detection", {"max_pattern_size": 4, "min_count": 3}),
    ("watermarking", True),
    ("vllm_xargs", {"a": 1}),
    ("kv_transfer_params", {"do_remote_prefill": True}),
    ("ec_transfer_params", {"a": 1}),
    ("return_prompt_text", True),
]

IGNORED: list[tuple[str, Any]] = [
    ("user", "me"),
    ("request_id", "mine"),
    ("session_id", "mine"),
    ("stream_interval", 4),
    # Of vLLM's routes that render and generate nothing.
    ("return_token_offsets", True),
    ("mm_payload", "none"),
    ("return_mm_kwargs", False),
    # Of engines that tell which experts answered.
    ("routed_experts_prompt_start", 3),
    # Nobody's.
    ("something_new", {"a": 1}),
]
