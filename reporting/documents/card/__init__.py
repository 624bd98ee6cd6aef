"""The model card and the files to publish with it."""
