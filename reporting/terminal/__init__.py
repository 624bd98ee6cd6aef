"""The summary that a job prints at its end."""
