"""The books of memory: what models need, what they were granted, who gives way to whom."""
