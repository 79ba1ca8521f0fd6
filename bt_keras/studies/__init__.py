"""Several runs: a queue that makes them, and their comparison."""
