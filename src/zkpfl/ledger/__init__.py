"""The ledger: the one contract, the nodes that run it, and the clients that talk to it.

``evm``, ``journal``, ``embedded`` and ``rpc_server`` are the embedded node: a durable in-process EVM with a
JSON-RPC front on loopback. ``connection`` is the only way from a process to any EVM node, embedded or not;
``client`` puts the contract's functions on top of it and ``settlement`` recomputes its payouts.
"""
