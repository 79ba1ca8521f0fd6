"""This library's sides, through its public API only; but see `unguarded`."""
