"""The same grid in other engines: one runner per peer, each run by the interpreter of that peer's own environment.

A runner knows nothing of the product and imports nothing of it but `benchmarks.peers.job`.
"""
