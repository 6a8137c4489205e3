"""Content-addressed storage: bytes are named by their hash, so nobody who stores them has to be trusted.

``cid`` names content as IPFS does, ``dag`` lays large content out in blocks, ``store`` is the interface and
``local`` keeps blocks on disk.
"""
