"""Manifests: the small JSON objects that the ledger names by their SHA-256 (docs/spec.md §2, §5, §6, §10).

A manifest names content by content id (text) and commits to it by root or hash; the reader checks both.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from zkpfl import strict_json
from zkpfl.errors import InvalidEncoding, InvalidParameter
from zkpfl.params import Layout
from zkpfl.privacy.levels import Privacy, privacy_from_dict

MAX_MANIFEST_BYTES = 256 * 1024
_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_DECIMAL = re.compile(r"0|-?[1-9][0-9]{0,77}")
_CONTENT_ID = re.compile(r"b(?:afkrei|afybei)[a-h][a-z2-7]{50}[aeimquy4]")
"""CIDv1, raw or dag-pb, SHA-256, in the one base32 spelling: what storage parses, so that the reader of a
manifest may ask storage for whatever it names."""


@dataclass(frozen=True)
class KeyAnnouncement:
    """A job's keys, without the keys: what they are checked against (docs/spec.md §10).

    Parameters
    ----------
    digest
        `key_digest` of the job key, 32 bytes.
    mask
        Of the job key's sharing, 32 bytes.
    shares
        `share_digest` of each zk-node's share of the job key, in the order of the committee.
    slice_masks
        Of the sharings of the slices' keys, 32 bytes each; the ledger has a hash of each key.
    """

    digest: bytes
    mask: bytes
    shares: tuple[bytes, ...]
    slice_masks: tuple[bytes, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Members of the JSON object."""
        hashes = {"digest": self.digest.hex(), "mask": self.mask.hex()}
        lists = {"shares": self.shares, "slice_masks": self.slice_masks}
        return hashes | {name: [value.hex() for value in values] for name, values in lists.items()}

    @classmethod
    def from_dict(cls, value: object, field: str) -> Self:
        """Decode; raises `InvalidEncoding` naming the field."""
        entry = strict_json.require_keys(value, {"digest", "mask", "shares", "slice_masks"}, field=field)
        return cls(
            digest=_hex(entry["digest"], 32, f"{field}.digest"),
            mask=_hex(entry["mask"], 32, f"{field}.mask"),
            shares=_hashes(entry["shares"], f"{field}.shares"),
            slice_masks=_hashes(entry["slice_masks"], f"{field}.slice_masks"),
        )


@dataclass(frozen=True)
class KeyManifest:
    """Where the zk-nodes of a committee find their shares of a job's keys.

    Parameters
    ----------
    shares
        Content id of what is sealed to each zk-node, in the order of the committee: its share of the job key
        and of the key of each slice, 32 bytes each.
    """

    shares: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """Encode as canonical JSON."""
        return strict_json.dump({"version": 1, "shares": list(self.shares)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode; raises `InvalidEncoding` naming the field."""
        value = _read(data, {"shares"}, field="key manifest")
        return cls(tuple(_content_id(cid, "shares") for cid in _list(value["shares"], "shares")))


@dataclass(frozen=True)
class JobManifest:
    """What everybody needs to know about a job.

    Parameters
    ----------
    bundle
        Content id of the sealed bundle.
    bundle_hash
        SHA-256 of a salt, which follows from the job key, and the plain bundle; 32 bytes.
    keys
        What the job's keys and their shares are checked against.
    training
        Layout of a training round; None if there are none.
    statistics
        Layout of the statistics round; None if there is none.
    test_slices
        Content ids of the sealed slices of the test set, in the order in which they are opened.
    privacy
        Budget and noise, of every trainer's records or of every trainer; None if the job is not private.
    """

    bundle: str
    bundle_hash: bytes
    keys: KeyAnnouncement
    training: Layout | None
    statistics: Layout | None
    test_slices: tuple[str, ...] = ()
    privacy: Privacy | None = None

    def epsilon_after(self, rounds: int) -> float | None:
        """ε that so many training rounds cost a record or trainer (docs/spec.md §8); None without privacy."""
        return None if self.privacy is None else self.privacy.epsilon_after(rounds)

    def to_bytes(self) -> bytes:
        """Encode as canonical JSON."""
        layouts = {
            name: asdict(layout) if (layout := getattr(self, name)) else None
            for name in ("training", "statistics")
        }
        value = {
            "version": 1,
            "bundle": self.bundle,
            "bundle_hash": self.bundle_hash.hex(),
            "keys": self.keys.to_dict(),
            **layouts,
            "test_slices": list(self.test_slices),
            "privacy": self.privacy.to_dict() if self.privacy else None,
        }
        return strict_json.dump(value)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode; raises `InvalidEncoding` naming the field."""
        keys = {"bundle", "bundle_hash", "keys", "training", "statistics", "test_slices", "privacy"}
        value = _read(data, keys, field="job manifest")
        return cls(
            bundle=_content_id(value["bundle"], "bundle"),
            bundle_hash=_hex(value["bundle_hash"], 32, "bundle_hash"),
            keys=KeyAnnouncement.from_dict(value["keys"], "keys"),
            training=_layout(value["training"], "training"),
            statistics=_layout(value["statistics"], "statistics"),
            test_slices=tuple(
                _content_id(cid, "test_slices") for cid in _list(value["test_slices"], "test_slices")
            ),
            privacy=_privacy(value["privacy"]),
        )


@dataclass(frozen=True)
class ShareEntry:
    """Where one zk-node's sealed share lies, and what the trainer signed about it.

    Parameters
    ----------
    node
        The zk-node's number, 1…m.
    blob
        Content id of the sealed share.
    blob_hash, share_root
        32 bytes each.
    signature
        The trainer's signature of the share message, 65 bytes.
    """

    node: int
    blob: str
    blob_hash: bytes
    share_root: bytes
    signature: bytes


@dataclass(frozen=True)
class SubmissionManifest:
    """Everything that a trainer sent in one round.

    Parameters
    ----------
    trainer
        The trainer's account, 20 bytes.
    commitments
        Content id of the compressed points.
    shares
        One entry for each zk-node, ascending.
    """

    trainer: bytes
    commitments: str
    shares: tuple[ShareEntry, ...]

    def to_bytes(self) -> bytes:
        """Encode as canonical JSON."""
        shares = [
            {
                "node": entry.node,
                "blob": entry.blob,
                "blob_hash": entry.blob_hash.hex(),
                "share_root": entry.share_root.hex(),
                "signature": entry.signature.hex(),
            }
            for entry in self.shares
        ]
        value = {
            "version": 1,
            "trainer": self.trainer.hex(),
            "commitments": self.commitments,
            "shares": shares,
        }
        return strict_json.dump(value)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode; raises `InvalidEncoding` naming the field."""
        value = _read(data, {"trainer", "commitments", "shares"}, field="submission manifest")
        return cls(
            trainer=_hex(value["trainer"], 20, "trainer"),
            commitments=_content_id(value["commitments"], "commitments"),
            shares=tuple(
                _share_entry(entry, number)
                for number, entry in enumerate(_list(value["shares"], "shares"), start=1)
            ),
        )


@dataclass(frozen=True)
class AggregateManifest:
    """What a zk-node posted about its aggregate share.

    Parameters
    ----------
    node
        The zk-node's number, 1…m.
    blob
        Content id of the sealed aggregate share.
    blob_hash, share_root, aggregate_root
        32 bytes each.
    proof
        The aggregation proof.
    """

    node: int
    blob: str
    blob_hash: bytes
    share_root: bytes
    aggregate_root: bytes
    proof: bytes

    def to_bytes(self) -> bytes:
        """Encode as canonical JSON."""
        value = {
            "version": 1,
            "node": self.node,
            "blob": self.blob,
            "blob_hash": self.blob_hash.hex(),
            "share_root": self.share_root.hex(),
            "aggregate_root": self.aggregate_root.hex(),
            "proof": self.proof.hex(),
        }
        return strict_json.dump(value)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode; raises `InvalidEncoding` naming the field."""
        keys = {"node", "blob", "blob_hash", "share_root", "aggregate_root", "proof"}
        value = _read(data, keys, field="aggregate manifest")
        return cls(
            node=_integer(value["node"], "node"),
            blob=_content_id(value["blob"], "blob"),
            blob_hash=_hex(value["blob_hash"], 32, "blob_hash"),
            share_root=_hex(value["share_root"], 32, "share_root"),
            aggregate_root=_hex(value["aggregate_root"], 32, "aggregate_root"),
            proof=_hex(value["proof"], None, "proof"),
        )


@dataclass(frozen=True)
class ContributionManifest:
    """What a trainer contributed to a round, and the proof.

    Parameters
    ----------
    trainer
        Account, 20 bytes.
    value
        See `contribution.Statement`; any sign.
    proof
        The contribution proof.
    """

    trainer: bytes
    value: int
    proof: bytes

    def to_bytes(self) -> bytes:
        """Encode as canonical JSON."""
        fields_ = {"trainer": self.trainer.hex(), "value": str(self.value), "proof": self.proof.hex()}
        return strict_json.dump({"version": 1, **fields_})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode; raises `InvalidEncoding` naming the field."""
        value = _read(data, {"trainer", "value", "proof"}, field="contribution manifest")
        return cls(
            trainer=_hex(value["trainer"], 20, "trainer"),
            value=_decimal(value["value"], "value"),
            proof=_hex(value["proof"], None, "proof"),
        )


def _read(data: bytes, keys: set[str], *, field: str) -> dict[str, Any]:
    value = strict_json.parse(data, field=field, max_size_bytes=MAX_MANIFEST_BYTES)
    strict_json.require_keys(value, keys | {"version"}, field=field)
    if value["version"] != 1:
        raise InvalidEncoding("only version 1 is known", field=f"{field}.version")
    return value


def _share_entry(value: object, number: int) -> ShareEntry:
    field = f"shares[{number}]"
    entry = strict_json.require_keys(
        value, {"node", "blob", "blob_hash", "share_root", "signature"}, field=field
    )
    if entry["node"] != number:
        raise InvalidEncoding(
            f"must be {number}: one entry for each zk-node, ascending", field=f"{field}.node"
        )
    return ShareEntry(
        node=number,
        blob=_content_id(entry["blob"], f"{field}.blob"),
        blob_hash=_hex(entry["blob_hash"], 32, f"{field}.blob_hash"),
        share_root=_hex(entry["share_root"], 32, f"{field}.share_root"),
        signature=_hex(entry["signature"], 65, f"{field}.signature"),
    )


def _privacy(value: object) -> Privacy | None:
    if value is None:
        return None
    try:
        return privacy_from_dict(value)
    except InvalidParameter as error:
        raise InvalidEncoding(error.message, field=error.field) from error


def _layout(value: object, field: str) -> Layout | None:
    if value is None:
        return None
    keys = {item.name for item in fields(Layout)}
    numbers = strict_json.require_keys(value, keys, field=field)
    try:
        return Layout(**{key: _integer(number, f"{field}.{key}") for key, number in numbers.items()})
    except InvalidParameter as error:
        raise InvalidEncoding(error.message, field=f"{field}.{error.field}") from error


def _list(value: object, field: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidEncoding("must be a list", field=field)
    return value


def _hashes(value: object, field: str) -> tuple[bytes, ...]:
    return tuple(_hex(item, 32, field) for item in _list(value, field))


def _integer(value: object, field: str) -> int:
    if type(value) is not int or value < 0:
        raise InvalidEncoding("must be a non-negative integer", field=field)
    return value


def _decimal(value: object, field: str) -> int:
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise InvalidEncoding("must be an integer of at most 78 digits in decimal", field=field)
    return int(value)


def _hex(value: object, size_bytes: int | None, field: str) -> bytes:
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise InvalidEncoding("must be lower-case hexadecimal", field=field)
    data = bytes.fromhex(value)
    if size_bytes is not None and len(data) != size_bytes:
        raise InvalidEncoding(f"must be {size_bytes} bytes", field=field)
    return data


def _content_id(value: object, field: str) -> str:
    if not isinstance(value, str) or not _CONTENT_ID.fullmatch(value):
        raise InvalidEncoding("must be a content id (CIDv1 with SHA-256, base32)", field=field)
    return value
