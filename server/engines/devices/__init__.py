"""What the machine's GPUs are, by their driver, and what processes hold of memory."""
