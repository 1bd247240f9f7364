"""The ledger of credits: hold, settle, release, grant."""
