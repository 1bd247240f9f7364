"""/admin/v1: accounts, keys, credits, usage, ledger, audit log, datasets, personas; for keys with the scope `admin`."""

from fastapi import APIRouter

from server.api.admin import accounts, audit, datasets, keys, ledger, personas, usage

router = APIRouter()
for part in (accounts, keys, usage, ledger, audit, datasets, personas):
    router.include_router(part.router)
