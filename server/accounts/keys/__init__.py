"""Accounts and their keys: made, listed, changed, closed, revoked, and recognized."""
