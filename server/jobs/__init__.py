"""What outlives a request: files, batches, and responses that are kept."""
