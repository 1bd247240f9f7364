"""What our own server does otherwise than documented, and why.

Each is expected to fail (tests/e2e/test_conformance.py): one that has been mended is a failure until it is taken out.
"""

from collections.abc import Mapping

_CUT = "A result without its call is taken: programs cut old messages off, and the call with them."
_EYES = "No starter model has eyes; tests/engines/vllm show the way of a picture by a tiny model of their own."

OURS: Mapping[str, str] = {
    "headers.rate_limits": "The first key of a server has no limits. Where a key has them, the headers are there.",
    "errors.tool_result_without_call": _CUT,
    "tools.other_result": _CUT,
    "vision.image_part": _EYES,
    "vision.broken_picture": _EYES,
}
"""By the case's id: the reason, for the table in docs/conformance.md."""

PENDING: Mapping[str, str] = {
    "transport": (
        "without_version upgrade_to_h2c malformed_request gzip_body deflate_body unknown_encoding version openapi"
    ),
    "models": "chat_first max_model_len alias name_with_a_mode",
    "chat": (
        "greedy_choices greedy_by_top_p modalities control_text_of_user control_text_of_system "
        "control_text_of_assistant control_text_of_tool control_text_of_a_tool"
    ),
    "sampling": (
        "return_token_ids stop_token_ids allowed_token_ids bad_words include_stop_str_in_output "
        "prompt_logprobs truncate_prompt_tokens continue_final_message continue_and_begin "
        "add_generation_prompt documents chat_template cache_salt wrong_stop_token_ids "
        "wrong_allowed_token_ids wrong_bad_words wrong_prompt_logprobs wrong_truncate_prompt_tokens "
        "wrong_use_beam_search unknown_token combinations"
    ),
    "chat_stream": "continuous_usage first_chunk no_limit_by_surprise",
    "tools": "required bare_name bare_function_name",
    "structured": (
        "schema_beside_json_object nothing_undeclared nothing_undeclared_inside circle contradiction "
        "impossible_number required_but_forbidden empty_enum unique_items contains dependent_schemas negation "
        "conditional min_properties no_schema structured_choice structured_regex structured_json "
        "structured_grammar guided_choice guided_regex guided_json guided_json_text guided_grammar bad_regex "
        "bad_grammar no_choice two_forms form_beside_a_format"
    ),
    "vision": "input_audio spoken spoken_stream spoken_without_settings",
    "completions": (
        "form keys default_limit several_prompts prompts_by_choices token_prompt token_prompts echo logprobs "
        "prompt_logprobs first_token_has_none stop_string best_of best_of_below_n suffix stream same_text "
        "stream_of_several usage_of_a_stream seed greedy_choices structured empty_list prompt_of_a_wrong_type "
        "unknown_token too_many_logprobs too_long unknown_model"
    ),
    "tokens": "prompt under_v1 messages strings detokenize detokenize_under_v1 nothing unknown_model",
    "embeddings": (
        "form usage several meaning base64_form float_form tokens token_lists unknown_token empty_text "
        "empty_list too_many too_long truncate dimensions unit_length unknown_encoding input_of_a_wrong_type "
        "unknown_model unknown_fields chat_model"
    ),
    "rerank": "form top_n texts empty other_urls score method",
    "images": "no_model gpt_image",
    "image_edits": (
        "form several_inputs one_in_a_list with_mask mask_of_another_size several gpt_image stream no_picture "
        "no_prompt no_picture_inside wrong_name huge json_body variations variation_without_picture"
    ),
    "transcription": "segments_of_json srt stream",
    "absent": "moderations assistants threads fine_tuning vector_stores",
}
"""By the file of cases: those about routes and fields that are being built. They may fail or pass."""


def pending(name: str) -> bool:
    file, _, case = name.partition(".")
    return case in PENDING.get(file, "").split()
