"""/admin/v1: accounts, keys, credits, usage, the ledger and the audit log, for keys with the scope `admin`."""

from fastapi import APIRouter

from server.api.admin import accounts, audit, keys, ledger, usage

router = APIRouter()
for part in (accounts, keys, usage, ledger, audit):
    router.include_router(part.router)
