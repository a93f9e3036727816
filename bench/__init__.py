"""Benchmarks of the stream. No test runs them."""
