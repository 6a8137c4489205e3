"""The roles of the protocol as pure state machines, and the messages between them.

Nothing here touches a socket, disk, clock, chain or GPU. ``plan`` says what a round is; ``trainer``,
``zk_node`` and ``member`` are what each role does in it; ``messages`` and ``manifests`` are what they
say to each other.
"""
