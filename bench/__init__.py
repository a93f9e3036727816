"""Measurements of the stream, as figures of one run; never part of the tests."""
