"""The starter models: small, free, and enough for everything to answer."""
