"""The one object that says which release is live."""

import json
import uuid
from dataclasses import asdict, dataclass, field, replace
from typing import Self

from retrieval.errors import ReleaseError
from storage.refs import digest_of
from storage.releases.places import Place

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
        """The pointer in these bytes; every byte of them counts.

        Raises:
            ReleaseError: when they are not exactly what was written.
        """
        try:
            content = json.loads(data)
            del content["digest"]
            pointer = cls(**(content | {"removing": tuple(content["removing"])}))
            if pointer.as_bytes() != data:
                raise ValueError("it was not written so")
        except (ValueError, KeyError, TypeError) as error:
            raise ReleaseError(
                f"{where} is damaged ({error}). Write it again by `lamplighter releases rollback --to ID`."
            ) from error
        return pointer

    def as_bytes(self) -> bytes:
        content = asdict(self)
        return json.dumps(content | {"digest": digest_of(content)}, indent=1).encode()

    def with_removing(self, ids: tuple[str, ...]) -> Self:
        return replace(self, removing=ids, nonce=uuid.uuid4().hex)


def read_pointer(place: Place) -> tuple[Pointer | None, str | None]:
    """The pointer of a place with its tag, None before the first.

    Raises:
        ReleaseError: when it is damaged: the same bytes came twice. A server that does not keep apart what it sends and
            what replaces it meanwhile sends pieces of both, but not the same ones again.
    """
    tagged = place.read_tagged(CURRENT)
    while tagged is not None:
        try:
            return Pointer.parse(tagged[0], f"{place.uri}/{CURRENT}"), tagged[1]
        except ReleaseError:
            again = place.read_tagged(CURRENT)
            if again == tagged:
                raise
            tagged = again
    return None, None
