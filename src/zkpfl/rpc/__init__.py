"""The zk-node service over gRPC: `serve` on the node's side, `NodeClient` on the other.

``handler`` says what a node offers, ``convert`` is the door where bytes become messages, ``share_stream`` the
format of an upload, ``errors`` the one table between exceptions and statuses. ``_pb`` is generated from
``proto/`` by the build.
"""

import os

# Who only looks at a certificate (channel.py), and every stranger, breaks off a handshake: gRPC prints each.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
