"""The books of memory: what models need, what they are allotted, who gives way to whom."""
