"""What the commands print on a terminal: one module per subject; plain text where the output is not a terminal."""
