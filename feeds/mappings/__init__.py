"""Mappings: how the columns of a table become rows of a topic, and what a table says about its own rows."""
