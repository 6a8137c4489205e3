"""Which content is kept, by label: an empty file ``pins/<label>/<content id>`` a pin.

One pin is one file, so that no lock is needed: any number of processes pin and unpin at once, and a crash
leaves a pin or none.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path

from zkpfl.errors import InvalidEncoding, InvalidParameter, StorageError
from zkpfl.storage.blocks import disk_errors, sync_directory
from zkpfl.storage.cid import ContentId

_LABEL = re.compile(r"[a-z0-9][a-z0-9.-]{0,127}")


class PinBook:
    """Pins in a directory.

    Parameters
    ----------
    root
        Directory of the store; pins lie in ``root/pins``.
    """

    def __init__(self, root: Path) -> None:
        self._pins = root / "pins"
        with disk_errors(self._pins):
            self._pins.mkdir(parents=True, exist_ok=True)

    def add(self, label: str, cid: ContentId) -> None:
        """Write a pin durably.

        Raises
        ------
        InvalidParameter
            The label is not 1 to 128 of ``a-z0-9.-``, beginning with a letter or digit.
        """
        folder = self._folder(label)
        with disk_errors(folder):
            while True:
                folder.mkdir(exist_ok=True)
                with contextlib.suppress(FileNotFoundError):  # the label is just being removed
                    (folder / str(cid)).touch()
                    sync_directory(folder)
                    break
            sync_directory(self._pins)

    def remove(self, label: str) -> frozenset[ContentId]:
        """Remove the pins of a label; returns them."""
        folder = self._folder(label)
        with disk_errors(folder):
            removed = _pinned(folder) if folder.is_dir() else frozenset()
            for cid in removed:
                (folder / str(cid)).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # somebody pins just now
                folder.rmdir()
        return removed

    def all(self) -> Mapping[str, frozenset[ContentId]]:
        """Every pin, by label.

        Raises
        ------
        StorageError
            A file in ``pins`` is not a pin: nobody can tell what it should keep.
        """
        with disk_errors(self._pins):
            labels = sorted(folder for folder in self._pins.iterdir())
            return {folder.name: pins for folder in labels if (pins := _pinned(folder))}

    def _folder(self, label: str) -> Path:
        if not _LABEL.fullmatch(label):
            text = f"{label[:140]!r} is not 1 to 128 of a-z, 0-9, . and -"
            raise InvalidParameter(text, field="label")
        return self._pins / label


def _pinned(folder: Path) -> frozenset[ContentId]:
    try:
        return frozenset(ContentId.parse(path.name) for path in folder.iterdir())
    except FileNotFoundError:
        return frozenset()  # removed since it was listed
    except InvalidEncoding as error:
        raise StorageError(
            f"{folder}: a file is no pin: {error.message}", hint="move away what is not a content id"
        ) from error
