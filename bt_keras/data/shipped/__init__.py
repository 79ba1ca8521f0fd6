"""The images that come with the library; README.md credits their makers."""
