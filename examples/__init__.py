"""What to do with an exported backbone, in programs to copy from."""
