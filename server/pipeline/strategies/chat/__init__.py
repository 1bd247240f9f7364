"""Chat: one draft that is checked, or the best of several."""
