"""This library's sides; except for `unguarded`, they use only its public API."""
