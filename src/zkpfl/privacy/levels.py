"""At which level a job is private: of each record of a trainer, or of each trainer (docs/spec.md §8)."""

from __future__ import annotations

from typing import TypeAlias

from zkpfl.privacy.client_level import ClientPrivacy
from zkpfl.privacy.record_level import RecordPrivacy

Privacy: TypeAlias = RecordPrivacy | ClientPrivacy


def privacy_from_dict(value: object, field: str = "privacy") -> Privacy:
    """Check the privacy of a recipe or job manifest; what zk-nodes are to bring makes it client-level.

    Raises
    ------
    InvalidParameter
        A field is missing, unknown, of the wrong type or out of range; names it.
    """
    if isinstance(value, dict) and "noise_quorum" in value:
        return ClientPrivacy.from_dict(value, field)
    return RecordPrivacy.from_dict(value, field)
