"""The shipped images; README.md credits their authors."""
