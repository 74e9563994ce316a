"""One publisher at a time where the server keeps no conditions: an object that says who, and until when."""

import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from retrieval.errors import ReleaseError
from storage.releases.bucket import Bucket

LEASE = "lease.json"
LEASE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may move the pointer, and until when nobody else."""

    owner: str
    expires_at: dt.datetime
    token: str

    @classmethod
    def parse(cls, found: tuple[bytes, str] | None) -> Self | None:
        """The lease in an object; one that cannot be read holds nobody off."""
        try:
            content = json.loads(found[0]) if found else {}
            return cls(content["owner"], dt.datetime.fromisoformat(content["expires_at"]), content["token"])
        except (ValueError, KeyError, TypeError):
            return None

    def as_bytes(self) -> bytes:
        content = {"owner": self.owner, "expires_at": self.expires_at.isoformat(), "token": self.token}
        return json.dumps(content).encode()

    @classmethod
    @contextmanager
    def held(
        cls, bucket: Bucket, owner: str, now: dt.datetime, settle_seconds: float, wait: Callable[[float], None]
    ) -> Iterator[Callable[[], None]]:
        """Hold the lease; what is yielded asks whether it is still ours.

        Two that take it at once both write it and both wait; the one whose writing lasted goes on. That keeps them
        apart as long as a request takes less time than `settle_seconds`.

        Raises:
            ReleaseError: when somebody else holds it.
        """
        mine = cls(owner, now + dt.timedelta(seconds=LEASE_SECONDS), uuid.uuid4().hex)

        def still_held() -> None:
            _refuse_other(bucket, mine, now)

        found = cls._read(bucket)
        if found is not None and found.expires_at >= now:
            raise _busy(bucket, found)
        bucket.write(LEASE, mine.as_bytes())
        wait(settle_seconds)
        still_held()
        try:
            yield still_held
        finally:
            if cls._read(bucket) == mine:
                bucket.remove([LEASE])

    @classmethod
    def _read(cls, bucket: Bucket) -> Self | None:
        try:
            return cls.parse(bucket.read(LEASE))
        except FileNotFoundError:
            return None


def _refuse_other(bucket: Bucket, mine: Lease, now: dt.datetime) -> None:
    found = Lease._read(bucket)
    if found is None:
        raise ReleaseError(
            f"the lease of {bucket.uri} was taken away while it was held. Nothing was changed; try again."
        )
    if found != mine:
        raise _busy(bucket, found)


def _busy(bucket: Bucket, lease: Lease) -> ReleaseError:
    return ReleaseError(
        f"{bucket.uri} is held by {lease.owner} until {lease.expires_at:%Y-%m-%d %H:%M:%S} UTC, for its server lets "
        "only one publish at a time. Nothing was changed; run the same command again after that."
    )
