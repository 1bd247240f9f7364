"""The pages for browsers, `/`, `/playground` and `/console`: static files that talk to the HTTP API alone."""
