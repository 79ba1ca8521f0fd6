"""Damaged and hostile files: seeded mutations of valid ones, in a process of their own.

`mutations` changes bytes and values, `kinds` has the valid files and what reads them,
`child` runs the mutations of one kind, and `test_fuzz` starts it.
"""
