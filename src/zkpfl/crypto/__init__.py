"""The cryptography that the protocol is built from, and the only importer of the native core.

Every module is one primitive. What comes from a peer is checked here once; the layers above handle only
checked types.
"""
