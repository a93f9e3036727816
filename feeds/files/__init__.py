"""Whole files: of exchanges, of data vendors, of master data and bars; their rows are a dataset."""
