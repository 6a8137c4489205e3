"""Zero-knowledge proofs: a statement, a witness, ``prove`` and ``verify`` for each (docs/notes/)."""
