"""The HTTP side: routes parse, open a Run and render it. Nothing here decides what a model does."""
