"""Where input rows come from: files, data vendors, exchanges, the desk's margin positions, and a simulated market.

The room reads, checks and publishes; `feeds.ports` declares what it needs of the running system.
"""
