"""Datasets, documents and passages as JSON."""

from typing import Any

from server.knowledge.records import Chunk, Dataset, Document


def dataset_row(dataset: Dataset) -> dict[str, Any]:
    return {
        "id": dataset.id,
        "object": "dataset",
        "name": dataset.name,
        "full_name": dataset.full_name,
        "permission": dataset.permission.name.lower(),
        "classification": dataset.classification or "Unclassified",
        "model": dataset.model,
        "documents": dataset.documents,
        "passages": dataset.chunks,
        "created_at": dataset.created_at,
    }


def document_row(document: Document) -> dict[str, Any]:
    return {
        "id": document.id,
        "object": "document",
        "dataset_id": document.dataset_id,
        "filename": document.filename,
        "context": document.context,
        "state": document.state.value,
        "done": document.done,
        "total": document.total,
        "error": document.error,
        "size": document.size,
        "passages": document.chunks,
        "tokens": document.tokens,
        "created_at": document.created_at,
        "updated_at": document.updated_at,
    }


def passage_row(chunk: Chunk) -> dict[str, Any]:
    return {
        "place": chunk.place,
        "text": chunk.text,
        "heading": chunk.heading,
        "page": chunk.page,
        "start": chunk.start,
        "end": chunk.end,
    }
