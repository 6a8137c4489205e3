"""Slow pure-Python twin of the cryptography, written from docs/spec.md; shares no code with the package."""
