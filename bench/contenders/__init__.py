"""One small script per peer, run by `bench.peers` in a virtual environment of their own.

All do the same with every event of ``margin.daily``: keep its security's last 16 financing balances and compute the
change over 15 days. Each does so in the way that its library means it to be done.
"""
