"""`scripts/bench ingestion`: a row for each kind of file, with what each step took."""

import pytest

from scripts.benchmarks.ingestion import STEPS, measured
from server.settings import Settings

EMBEDDING = "name: embedding\nengine: fake\nserves: embedding\nprice: {prompt_token: 1}\n"


@pytest.mark.anyio
async def test_files_of_each_kind_are_measured_from_added_to_found(settings: Settings) -> None:
    settings.model_configs.mkdir()
    (settings.model_configs / "embedding.yaml").write_text(EMBEDDING)
    model, rows = await measured(settings, paragraphs=20, notes=3)
    assert model == "embedding"
    assert [row.kind for row in rows] == ["txt", "md", "html", "csv", "docx", "xlsx", "pdf", "small txt"]
    assert [row.documents for row in rows] == [1] * 7 + [3]
    for row in rows:
        assert row.chunks >= row.documents
        assert row.tokens > 30 * row.documents
        assert set(row.steps) == set(STEPS)
        assert min(row.steps.values()) > 0
