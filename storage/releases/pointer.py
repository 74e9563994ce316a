"""The one object that says which release is live."""

import datetime as dt
import json
import uuid
from dataclasses import asdict, dataclass, field, replace
from typing import Self

from retrieval.errors import ReleaseError

CURRENT = "CURRENT.json"


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which release is live, since when, and by which change of the audit trail."""

    release: str
    manifest_sha256: str
    since: str
    held: bool
    """Whether a person went back to it, so that no night moves on by itself."""
    change: str
    """The id of the audit's entry that made it."""
    removing: tuple[str, ...] = ()
    """Releases that a sweep is about to remove: none of them becomes live any more."""
    nonce: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Makes every writing unlike any other, so that a writer can tell its own."""

    @classmethod
    def parse(cls, data: bytes, where: str) -> Self:
        """The pointer in these bytes.

        Raises:
            ReleaseError: when they are damaged.
        """
        try:
            content = json.loads(data)
            pointer = cls(**(content | {"removing": tuple(content["removing"])}))
            if not all(isinstance(value, str) for value in (pointer.release, pointer.change, pointer.manifest_sha256)):
                raise TypeError("a text is expected")
            dt.datetime.fromisoformat(pointer.since)
        except (ValueError, KeyError, TypeError) as error:
            raise ReleaseError(
                f"{where} is damaged ({error}). Write it again by `lamplighter releases rollback --to ID`."
            ) from error
        return pointer

    def as_bytes(self) -> bytes:
        return json.dumps(asdict(self), indent=1).encode()

    def with_removing(self, ids: tuple[str, ...]) -> Self:
        return replace(self, removing=ids, nonce=uuid.uuid4().hex)
