"""The command line `marginwatch`: a module per group of commands."""
