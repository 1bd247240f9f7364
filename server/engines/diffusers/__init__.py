"""Images by diffusers."""
