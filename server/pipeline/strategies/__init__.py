"""How the passes of a plan follow each other: one strategy a file.

A strategy owns its passes and the order in which they run. It sees the plan and the engine through `Work`, and knows
no client.
"""
