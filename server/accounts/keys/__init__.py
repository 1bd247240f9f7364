"""Accounts and their keys: made, listed, revoked, and recognized."""
