"""Live search: an instance of SearXNG, or an archive on this machine."""
