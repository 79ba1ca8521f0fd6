"""Speed and memory of this library and its peers, measured in turns; see README.md."""
