"""The processes: a role wires protocol, storage, ledger, rpc and learning; it decides nothing itself."""
