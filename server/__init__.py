"""sagehold: a local inference server behind the OpenAI API."""

__version__ = "0.1.0"
