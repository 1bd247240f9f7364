"""/v1/datasets and /v1/documents: what a caller's questions are answered from, by ids. Not in the OpenAI API."""
