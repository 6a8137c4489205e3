"""Cases of the ledger's hashes and choices."""

from __future__ import annotations

from collections.abc import Iterator

from tests.reference import ledger
from tests.reference.cases_proofs import CONTEXT
from tests.reference.material import Case, secret


def posts_hash() -> Iterator[Case]:
    for count in (0, 1, 3):
        posts = [(3 - k, secret(f"share root {k}"), secret(f"manifest {k}")) for k in range(count)]
        given = {"posts": [[node, root.hex(), manifest.hex()] for node, root, manifest in posts]}
        yield f"posts_{count}", given, {"hash": ledger.posts_hash(posts).hex()}


def score_commitment() -> Iterator[Case]:
    for k in range(4):  # with bit 64 of the hash set and not
        trainer, checkpoint, salt = secret("trainer")[:20], secret("checkpoint"), secret(f"salt {k}")
        given = {
            "context": CONTEXT.hex(),
            "trainer": trainer.hex(),
            "checkpoint": checkpoint.hex(),
            "accuracy": 803_571,
            "salt": salt.hex(),
        }
        commitment = ledger.score_commitment(CONTEXT, trainer, checkpoint, 803_571, salt)
        yield f"salt_{k}", given, {"commitment": commitment.hex()}


def slice_keys() -> Iterator[Case]:
    last = secret("last slice")
    for count in (1, 4):
        keys = [key.hex() for key in ledger.slice_keys(last, count)]
        yield f"slices_{count}", {"last": last.hex(), "count": count}, {"keys": keys}


def committee_draw() -> Iterator[Case]:
    weights = [500 * 10**18, 0, 2 * 10**21, 500 * 10**18 + 1, 10**24]
    for k in range(3):
        seed = secret(f"draw {k}")
        given = {"seed": seed.hex(), "weights": [str(weight) for weight in weights], "count": 4}
        yield f"seed_{k}", given, {"drawn": ledger.committee_draw(seed, weights, 4)}


OPERATIONS = {
    "posts_hash": posts_hash,
    "score_commitment": score_commitment,
    "slice_keys": slice_keys,
    "committee_draw": committee_draw,
}
