"""This library's sides, through its public API only."""
