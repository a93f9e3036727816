"""One small script per peer, run by `bench.peers` in a virtual environment of their own.

Every script stores the last 16 financing balances of each security of ``margin.daily`` and computes the change over 15
days, in the idiomatic way of its library.
"""
