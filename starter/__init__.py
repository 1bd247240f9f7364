"""The starter models: small, free, and enough for everything to answer.

The server needs nothing of this; it finds what the installer has put into the models folder.
"""
