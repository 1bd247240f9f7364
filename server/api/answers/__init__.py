"""The JSON that routes answer with, as models: for /openapi.json, and for the tests that hold real answers against it.

Nothing is rendered by them: routes write their JSON by hand, most of it in pieces. An answer with a field that is not
declared here fails its test.
"""
