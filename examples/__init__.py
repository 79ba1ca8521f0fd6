"""Programs that use an exported backbone, to copy from."""
