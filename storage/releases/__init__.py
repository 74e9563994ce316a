"""The release store: immutable bundles, and one pointer to the live one that moves in a single step."""

from storage.releases.audit import AUDIT, Entry
from storage.releases.pointer import CURRENT, Pointer
from storage.releases.promotion import Promotion
from storage.releases.release import Release, as_json
from storage.releases.retention import PINS, Swept
from storage.releases.store import ReleaseStore

__all__ = [
    "AUDIT",
    "CURRENT",
    "PINS",
    "Entry",
    "Pointer",
    "Promotion",
    "Release",
    "ReleaseStore",
    "Swept",
    "as_json",
]
