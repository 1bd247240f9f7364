"""The commands of `sagehold`, one file a noun. Heavy imports sit inside the commands."""
