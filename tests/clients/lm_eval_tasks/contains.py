"""What `answers.yaml` counts."""


def contains(doc: dict[str, str], results: list[str]) -> dict[str, float]:
    """1.0 where the answer has the expected words in it."""
    return {"contains": float(doc["answer"] in results[0])}
