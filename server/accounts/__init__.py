"""Who may call (keys), what they pay (ledger), how fast they may go (limits), and what they used (reports)."""
