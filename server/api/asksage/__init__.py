"""The Ask Sage dialect: `/server/*` and `/user/*`, over the same pipeline as the OpenAI one. See docs/asksage.md."""
