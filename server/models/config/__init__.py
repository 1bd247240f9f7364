"""What the files in model_configs say: read, checked, and found by public names."""
