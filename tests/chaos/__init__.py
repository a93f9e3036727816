"""Fault tests: one scenario of real data, replayed without and with each fault, must give the same bytes."""
