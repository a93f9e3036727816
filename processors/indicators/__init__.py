"""One module per indicator: its declaration(s) and its computation, nothing else."""
