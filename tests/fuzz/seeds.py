"""Where fuzzers start: true encodings of everything that is fuzzed, and bundles that must be refused.

``python -m tests.fuzz.seeds FOLDER`` writes them to ``FOLDER/<target>/``.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from eth_abi.abi import encode
from eth_account import Account

from tests.fuzz import target_crypto, target_learning
from tests.fuzz.hostile_bundles import HOSTILE
from tests.fuzz.target_ledger import CHAIN_ID
from zkpfl.crypto.bls import BlsSecretKey, signature_to_ledger
from zkpfl.crypto.sealing import EncryptionKey
from zkpfl.crypto.signatures import AccountKey
from zkpfl.learning import tensors
from zkpfl.params import Layout
from zkpfl.privacy.record_level import RecordPrivacy
from zkpfl.protocol.manifests import (
    AggregateManifest,
    ContributionManifest,
    JobManifest,
    KeyAnnouncement,
    KeyManifest,
    ShareEntry,
    SubmissionManifest,
)
from zkpfl.protocol.messages import MessageKind, ShareMessage
from zkpfl.roles.identity import Identity
from zkpfl.rpc import convert
from zkpfl.rpc.handler import Attestation, NodeStatus
from zkpfl.storage import dag
from zkpfl.storage.cid import ContentId

KEY = bytes(range(32))
CID = str(ContentId.of_block(b""))
LISTEN = "/ip4/127.0.0.1/tcp/4001"
PEER = LISTEN + "/p2p/12D3KooW"
DAEMON = "http://127.0.0.1:5001"
ZERO = "0x" + bytes(20).hex()
MAX_HOSTILE_BYTES = 4096
MODES = (b"\0", b"\1", b"\1\1\0\7\x80")
"""What many targets begin with: take the rest as it is, or a true encoding, or change a byte of it."""

CALLS: tuple[tuple[tuple[str, dict[str, Any]], ...], ...] = (
    (("aten.relu.default", {"self": {"node": 4}}),),
    (("aten.softmax.int", {"self": {"node": 4}, "dim": 1}),),
    (("aten.add.Tensor", {"self": {"node": 4}, "other": {"node": 2}, "alpha": 2}),),
    (("aten.div.Tensor", {"self": {"node": 4}, "other": 1.5}),),
    (("aten.dropout.default", {"input": {"node": 4}, "p": 0.5, "train": True}),),
    (("aten.layer_norm.default", {"input": {"node": 4}, "normalized_shape": [2], "eps": 0.1}),),
    (("aten.group_norm.default", {"input": {"node": 4}, "num_groups": 2}),),
    (
        ("aten.unsqueeze.default", {"self": {"node": 4}, "dim": 1}),
        ("aten.max_pool2d.default", {"self": {"node": 5}, "kernel_size": [1, 1], "stride": [1]}),
        ("aten.squeeze.dim", {"self": {"node": 6}, "dim": 1}),
    ),
    (
        ("aten.sym_size.int", {"self": {"node": 4}, "dim": 0}),
        ("aten.reshape.default", {"self": {"node": 4}, "shape": [{"node": 5}, 2]}),
    ),
    (
        ("aten.unflatten.int", {"self": {"node": 4}, "dim": 1, "sizes": [1, 2]}),
        ("aten.avg_pool2d.default", {"self": {"node": 5}, "kernel_size": [1], "padding": [0]}),
        ("aten.flatten.using_ints", {"self": {"node": 6}, "start_dim": 1}),
    ),
    (
        ("aten.cat.default", {"tensors": [{"node": 4}], "dim": 0}),
        ("aten.gelu.default", {"self": {"node": 5}}),
    ),
    (
        ("aten.unsqueeze.default", {"self": {"node": 4}, "dim": 1}),
        ("aten.mean.dim", {"self": {"node": 5}, "dim": [1], "keepdim": False}),
    ),
    (("aten.permute.default", {"self": {"node": 4}, "dims": [0, 1]}),),
    (
        ("aten.unsqueeze.default", {"self": {"node": 4}, "dim": 1}),
        ("aten.conv1d.default", {"input": {"node": 5}, "weight": {"node": 3}, "stride": [1], "groups": 1}),
        ("aten.flatten.using_ints", {"self": {"node": 6}, "start_dim": 1}),
    ),
)


def seeds() -> Iterator[tuple[str, bytes]]:
    """Yield pairs of target and input."""
    yield from _json()
    yield from _rpc()
    yield from _storage()
    yield from _crypto()
    yield from _learning()
    yield from _ledger()
    yield from _files()


def _json() -> Iterator[tuple[str, bytes]]:
    shares = tuple(ShareEntry(node, CID, KEY, KEY, bytes(65)) for node in (1, 2))
    layout = Layout(dimension=600, norm_bound=40_000)
    privacy = RecordPrivacy(5.0, 1e-3, 1.0, 2.0, batch=20, local_steps=1, least_records=100)
    for manifest in (
        JobManifest(CID, KEY, KeyAnnouncement(KEY, KEY, (KEY, KEY), (KEY,)), layout, None),
        JobManifest(CID, KEY, KeyAnnouncement(KEY, KEY, (KEY, KEY)), layout, None, privacy=privacy),
        KeyManifest((CID, CID)),
        SubmissionManifest(bytes(20), CID, shares),
        AggregateManifest(1, CID, KEY, KEY, KEY, b"proof"),
        ContributionManifest(bytes(20), -7, b"proof"),
    ):
        yield "json", manifest.to_bytes()
    yield "json", b'{"a":[1.5e300,-0,true,null,"\\u00e9\\ud83d\\ude00"],"b":{}}'


def _share() -> ShareMessage:
    return ShareMessage(target_crypto.CONTEXT, bytes(20), 1, KEY, KEY, KEY)


def _rpc() -> Iterator[tuple[str, bytes]]:
    key = AccountKey.from_bytes(KEY)
    header = convert.UploadHeader(_share().sign(MessageKind.SHARE, key), 3, 2)
    messages = (
        convert.context_to_pb(target_crypto.CONTEXT),
        convert.header_to_pb(header),
        convert.receipt_to_pb(_share().sign(MessageKind.RECEIPT, key)),
        convert.attestation_to_pb(Attestation(1, KEY, bytes(48))),
        convert.status_to_pb(NodeStatus(bytes(20), "1.2.3", (1, 2), 3)),
        convert.pb.FetchContentRequest(content_id=CID),
        convert.pb.FetchContentResponse(chunk=b"abc"),
    )
    for index, message in enumerate(messages):
        yield "rpc", bytes((index,)) + message.SerializeToString()
    chunks = (convert.pb.UploadShareRequest(chunk=part) for part in (b"abc", b"de"))
    upload = [message.SerializeToString() for message in (convert.header_to_pb(header), *chunks)]
    yield "rpc", b"".join(len(part).to_bytes(2, "big") + part for part in upload)
    yield "rpc", b"\0\1\x09bad_share\2\x0azk-node 7\0\1\5field"
    yield "rpc", b"\4\0\1\3bad"


def _storage() -> Iterator[tuple[str, bytes]]:
    for cid in (ContentId.of_block(b""), ContentId.of_block(b"", dag.Codec.DAG_PB)):
        yield "storage", cid.to_bytes()
        yield "storage", str(cid).encode()
    yield "storage", b"\0" * 2 + b"\1"
    yield "storage", b"\0" * 2 + b"\1\1\0\7\x80"
    blocks: list[bytes] = []
    dag.write([bytes(dag.LEAF_BYTES + 1)], lambda _name, block: blocks.append(block))
    yield "storage", b"\0" * 3 + blocks[-1]
    for text in (LISTEN, PEER, DAEMON):
        yield "storage", text.encode()
    yield "storage", json.dumps({"Key": CID, "Size": 1}).encode()
    yield "storage", b'{"Message":"block was not found locally","Code":0,"Type":"error"}'


def _crypto() -> Iterator[tuple[str, bytes]]:
    _, proof = target_crypto._proof()
    account, signer = AccountKey.from_bytes(KEY), BlsSecretKey.from_bytes(KEY)
    for mode in MODES:
        yield "crypto", b"\0" + mode
        yield "crypto", b"\1" + mode
        yield "shares", mode + (proof if mode == b"\0" else b"")
        yield "crypto", KEY + mode
    for point in (EncryptionKey.from_bytes(KEY).public, bytes(32), b"\1" + bytes(31), b"\xff" * 32):
        yield "crypto", point
    yield "shares", b"\0\1\0" + KEY
    yield "shares", b"\2\2\1" + bytes(64)
    yield "shares", (b"\xc0" + bytes(47)) * 3
    signature = signer.sign(KEY)
    yield "shares", signature
    for encoding in (signature, signature_to_ledger(signature), signer.public.to_bytes()):
        yield "crypto", encoding
    yield "crypto", signer.public.to_ledger()
    yield "crypto", KEY
    yield "crypto", KEY + b"\0" + bytes(65)
    yield "crypto", account.to_bytes()
    yield "crypto", target_crypto.CONTEXT.to_bytes()


def _learning() -> Iterator[tuple[str, bytes]]:
    bundle = target_learning._bundle()
    yield "tensors", target_learning.WEIGHTS
    yield "tensors", tensors.pack({"n": np.arange(3), "x": np.zeros((0, 2), np.float32)})
    yield "json", bundle.recipe.to_json()
    yield "graphs", bundle.graph
    for calls in CALLS:
        yield "graphs", target_learning.graph(target_learning.LINEAR, *calls)
    yield "graphs", target_learning.TOKENS
    for hostile in HOSTILE.values():
        if len(data := hostile.make()) <= MAX_HOSTILE_BYTES:
            yield "bundles", b"\0" + data
    for mode in MODES:
        yield "bundles", mode + (bundle.to_bytes() if mode == b"\0" else b"")
        yield "tensors", mode + (bundle.weights if mode == b"\0" else b"")


def _ledger() -> Iterator[tuple[str, bytes]]:
    fields = {"nonce": 0, "gas": 100_000, "to": ZERO, "value": 0, "chainId": CHAIN_ID}
    account = Account.from_key(KEY)
    signed = [
        bytes(account.sign_transaction(fields | extra).raw_transaction)
        for extra in (
            {"gasPrice": 0},
            {"gasPrice": 0, "type": 1, "accessList": [{"address": ZERO, "storageKeys": ["0x" + KEY.hex()]}]},
            {"maxFeePerGas": 0, "maxPriorityFeePerGas": 0, "data": b"\1"},
        )
    ]
    for raw in signed:
        yield "ledger", raw
    call = {"from": ZERO, "to": ZERO, "data": "0x00", "value": "0x0", "gas": "0xffff"}
    topics = ["0x" + KEY.hex(), None, ["0x" + KEY.hex()]]
    for method, *params in (
        ("eth_feeHistory", "0x2", "latest", [50]),
        ("eth_getBlockByNumber", "0x0", True),
        ("eth_getBlockByHash", "0x" + KEY.hex(), False),
        ("eth_getBalance", ZERO, "pending"),
        ("eth_getStorageAt", ZERO, "0x1", {"blockHash": "0x" + KEY.hex()}),
        ("eth_call", call, "latest"),
        ("eth_estimateGas", {"data": "0x60016002"}),
        ("eth_sendRawTransaction", "0x" + signed[0].hex()),
        ("eth_getTransactionReceipt", "0x" + KEY.hex()),
        ("eth_getLogs", {"address": [ZERO], "fromBlock": "0x0", "topics": topics}),
    ):
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        yield "ledger", json.dumps(request).encode()
    yield "ledger", b'[{"jsonrpc":"2.0","id":1.5,"method":"eth_chainId"},3]'
    yield "ledger", encode(["string"], ["not_owner"])
    yield "ledger", encode(["uint256"], [0x11])
    for mode in (b"\0", b"\1", b"\1\1\0\7\x80\xff", b"\1\1\x10\1\x80\xff", b"\1\0\xff" + bytes(64)):
        yield "chain_files", mode


def _files() -> Iterator[tuple[str, bytes]]:
    account, encryption = AccountKey.from_bytes(KEY), EncryptionKey.from_bytes(KEY)
    for bls in (None, KEY):
        yield "files", json.dumps(Identity(account, encryption, bls)._secrets()).encode()
    yield "files", json.dumps({"format": "zkpfl-job-key-1", "key": KEY.hex()}).encode()
    kubo = {
        "kind": "kubo",
        "path": "s",
        "swarm_key": "k",
        "listen": [LISTEN],
        "peers": [PEER],
        "timeout_s": 3,
    }
    for store in ("s", kubo, {"kind": "kubo-rpc", "path": "s", "url": DAEMON, "timeout_s": 0.5}):
        network = {
            "chain_id": 1,
            "contract": bytes(20).hex(),
            "ledger_url": "http://x",
            "store": store,
            "version": 1,
        }
        yield "files", json.dumps(network).encode()
    yield "files", f"/key/swarm/psk/1.0.0/\n/base16/\n{KEY.hex()}\n".encode()
    yield "files", b'a,b,label\n1,2,yes\n"-3.5",1e3,0\n'
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, features=np.ones((2, 2), np.float32), labels=np.array([0, 1]))
        yield "files", file.getvalue()


def write(folder: Path) -> None:
    """Write every seed to a file of its own, named by its hash."""
    for target, data in seeds():
        path = folder / target / hashlib.sha1(data, usedforsecurity=False).hexdigest()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
