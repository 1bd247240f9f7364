"""/admin/v1: accounts, keys, credits, usage, the ledger, the audit log, personas; for keys with the scope `admin`."""

from fastapi import APIRouter

from server.api.admin import accounts, audit, keys, ledger, personas, usage

router = APIRouter()
for part in (accounts, keys, usage, ledger, audit, personas):
    router.include_router(part.router)
