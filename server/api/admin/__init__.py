"""/admin/v1: accounts, keys, credits, usage, the ledger, the audit log, personas, models, settings.

For keys with the scope `admin`.
"""

from fastapi import APIRouter

from server.api.admin import accounts, audit, keys, ledger, models, personas, settings, usage

router = APIRouter()
for part in (accounts, keys, usage, ledger, audit, personas, models, settings):
"""/admin/v1: accounts, keys, credits, usage, ledger, audit log, datasets, personas; for keys with the scope `admin`."""

from fastapi import APIRouter

from server.api.admin import accounts, audit, datasets, keys, ledger, personas, usage

router = APIRouter()
for part in (accounts, keys, usage, ledger, audit, datasets, personas):
    router.include_router(part.router)
