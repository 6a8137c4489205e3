"""zkPFL: federated learning that nobody has to trust.

Start with ``docs/spec.md`` for what is guaranteed, and with the folder listing for who does it.
"""

__version__ = "0.1.0"
