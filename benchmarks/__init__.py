"""Compares speed and memory of this library and its peers; see README.md."""
