"""Differential privacy: what a budget is, what noise spends, and the lattice that the noise lies on.

`accounting` asks dp-accounting; `record_level` is DP-SGD inside a trainer (docs/spec.md §8.1), `client_level`
noise that zk-nodes bring (§8.2); `levels` tells them apart.
"""
