"""The models: what is configured and installed, what of it is in memory, and who gives way to whom."""
