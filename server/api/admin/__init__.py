"""/admin/v1: accounts, keys, credits, usage, the ledger, the audit log, files, batches, datasets, personas, models,
settings.

For keys with the scope `admin`.
"""

from fastapi import APIRouter

from server.api.admin import accounts, audit, batches, datasets, files, keys, ledger, models, personas, settings, usage

router = APIRouter()
for part in (accounts, keys, usage, ledger, audit, files, batches, datasets, personas, models, settings):
    router.include_router(part.router)
