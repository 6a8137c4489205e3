"""Whom this process speaks for when it connects or is connected to (docs/spec.md §11)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from zkpfl.crypto.certificates import (
    CLOCK_SKEW_S,
    MAX_LIFETIME_S,
    Credential,
    new_credential,
    vouching_account,
)
from zkpfl.crypto.signatures import AccountKey, Domain
from zkpfl.errors import InvalidParameter, NotAuthorized

DEFAULT_LIFETIME_S = 24 * 3600


class TransportIdentity:
    """Whom a party's connections speak for; gives credentials, a new one when half of the last is over.

    Safe to use from several threads.

    Parameters
    ----------
    account
        Vouches for the keys. Secret.
    domain
        Chain and contract in which they count.
    lifetime_s
        Seconds for which a credential counts, 2 seconds to 7 days.
    clock
        Seconds of Unix time.
    """

    def __init__(
        self,
        account: AccountKey,
        domain: Domain,
        *,
        lifetime_s: float = DEFAULT_LIFETIME_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not 2 <= lifetime_s <= MAX_LIFETIME_S:
            text = f"must be 2 to {MAX_LIFETIME_S} seconds, got {lifetime_s}"
            raise InvalidParameter(text, field="lifetime_s")
        self.address = account.address
        self.domain = domain
        self._account = account
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._lock = threading.Lock()
        self._current: Credential | None = None

    def credential(self) -> Credential:
        """The present credential."""
        with self._lock:
            left_s = self._current.expires_at - self._clock() if self._current else 0
            if self._current is None or left_s < self._lifetime_s / 2:
                self._current = self._made()
            return self._current

    def require_peer(self, certificate: bytes, party: str, account: bytes | None = None) -> bytes:
        """Account that vouches for a peer's certificate now; raises as `vouching_account` does.

        Parameters
        ----------
        certificate
            PEM or DER, from the peer.
        party
            How errors name the peer.
        account
            Who it must be, if that is known.
        """
        found = vouching_account(certificate, self.domain, self._clock(), party)
        if account is not None and found != account:
            text = f"the certificate is vouched for by 0x{found.hex()}, not by 0x{account.hex()}"
            raise NotAuthorized(
                text, party=party, field="certificate", hint="is another party at its address?"
            )
        return found

    def _made(self) -> Credential:
        now = int(self._clock())
        return new_credential(self._account, self.domain, now - CLOCK_SKEW_S, now + int(self._lifetime_s))
