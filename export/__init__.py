"""What this project publishes: models, each in a folder of `export/models`."""
