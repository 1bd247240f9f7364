"""Images: the best of several candidates."""
