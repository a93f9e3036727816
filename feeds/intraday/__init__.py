"""Rows of the running session: snapshots and the desk's margin positions, published once."""
