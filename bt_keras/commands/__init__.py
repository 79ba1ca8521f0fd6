"""Flags in, one call of the library out: a module for each command of `bt-keras`."""
