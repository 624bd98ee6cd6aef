"""Tables of the findings, as plain text cells. They use phrases, and no sentences."""
