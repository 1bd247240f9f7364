"""/v1/files: kept, listed, read and deleted; to others as if they were not there."""

import pytest

from tests.api.filing import Desk, desk, migrated_file, refused, uploaded

pytestmark = pytest.mark.anyio

__all__ = ["desk", "migrated_file"]


async def test_one_is_kept_read_and_deleted(desk: Desk) -> None:
    ada = desk.ada
    file = await uploaded(ada, b"some\0bytes\r\n", "notes.txt")
    created_at = int(desk.clock().timestamp())
    assert file == {
        "id": file["id"],
        "object": "file",
        "bytes": 12,
        "created_at": created_at,
        "filename": "notes.txt",
        "purpose": "user_data",
        "status": "processed",
    }
    assert desk.names == [file["id"]]
    assert (await ada.get(f"/v1/files/{file['id']}")).json() == file
    listed = (await ada.get("/v1/files")).json()
    assert listed == {
        "object": "list",
        "data": [file],
        "has_more": False,
        "first_id": file["id"],
        "last_id": file["id"],
    }
    content = await ada.get(f"/v1/files/{file['id']}/content")
    assert (content.status_code, content.content) == (200, b"some\0bytes\r\n")
    gone = await ada.delete(f"/v1/files/{file['id']}")
    assert gone.json() == {"id": file["id"], "object": "file", "deleted": True}
    assert desk.names == []
    for path in (f"/v1/files/{file['id']}", f"/v1/files/{file['id']}/content"):
        assert refused(await ada.get(path), 404, "id", None) == f"No such File object: {file['id']}"
    refused(await ada.delete(f"/v1/files/{file['id']}"), 404, "id", None)
