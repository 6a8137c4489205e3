"""Content-addressed storage: bytes are named by their hash, so nobody who stores them has to be trusted.

``cid`` names content as IPFS does, ``dag`` lays large content out in blocks, ``store`` is the interface.
``local`` keeps blocks in a folder (``blocks``) and what must stay (``pins``), alone or before a ``remote``.
"""
