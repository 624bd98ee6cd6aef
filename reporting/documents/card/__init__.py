"""The model card, and the folder of files to publish with it."""
