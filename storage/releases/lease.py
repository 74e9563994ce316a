"""One publisher at a time where the server keeps no conditions: an object that says who, and for how long."""

import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Self

from retrieval.errors import ReleaseError
from storage.releases.bucket import Bucket

LEASE = "lease.json"
LEASE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may move the pointer, and for how long nobody else."""

    owner: str
    seconds: float
    token: str

    @classmethod
    def parse(cls, data: bytes) -> Self | None:
        """The lease in these bytes; one that cannot be read holds nobody off."""
        try:
            content = json.loads(data)
            return cls(str(content["owner"]), float(content["seconds"]), str(content["token"]))
        except (ValueError, KeyError, TypeError):
            return None

    def as_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    @contextmanager
    def held(
        cls, bucket: Bucket, owner: str, settle_seconds: float, wait: Callable[[float], None]
    ) -> Iterator[Callable[[], None]]:
        """Hold the lease; what is yielded asks whether it is still ours.

        Two that take it at once both write it and both wait; the one whose writing lasted goes on. That keeps them
        apart as long as a request takes less time than `settle_seconds`. Its age is the server's: the time of its
        answer less the time it gave the object, in whole seconds. The clocks of the publishers do not matter; a server
        that sets its own back while a lease is held makes that one last longer, forward, end sooner.

        Raises:
            ReleaseError: when somebody else holds it.
        """
        mine = cls(owner, LEASE_SECONDS, uuid.uuid4().hex)
        other = _Found.of(bucket)
        if other is not None and not other.is_over:
            raise _busy(bucket, other)
        try:
            bucket.write(LEASE, mine.as_bytes())
            wait(settle_seconds)
            _refuse_other(bucket, mine)
            yield lambda: _refuse_other(bucket, mine)
        finally:
            found = _Found.of(bucket)
            if found is not None and found.lease == mine:
                bucket.remove([LEASE])


def remove_ended(bucket: Bucket) -> bool:
    """Remove a lease that holds nobody off any more; whether there was one."""
    found = _Found.of(bucket)
    if found is None or not found.is_over:
        return False
    bucket.remove([LEASE])
    return True


@dataclass(frozen=True, slots=True)
class _Found:
    """A lease on the server, by the server's clock."""

    lease: Lease
    taken_at: dt.datetime
    now: dt.datetime

    @classmethod
    def of(cls, bucket: Bucket) -> Self | None:
        try:
            data, taken_at, now = bucket.read_timed(LEASE)
        except FileNotFoundError:
            return None
        lease = Lease.parse(data)
        return cls(lease, taken_at, now) if lease else None

    @property
    def ends_at(self) -> dt.datetime:
        return self.taken_at + dt.timedelta(seconds=self.lease.seconds)

    @property
    def is_over(self) -> bool:
        return self.now > self.ends_at


def _refuse_other(bucket: Bucket, mine: Lease) -> None:
    found = _Found.of(bucket)
    if found is None or (found.lease == mine and found.is_over):
        raise ReleaseError(f"the lease of {bucket.uri} ended or was taken away. Nothing was changed; try again.")
    if found.lease != mine:
        raise _busy(bucket, found)


def _busy(bucket: Bucket, found: _Found) -> ReleaseError:
    return ReleaseError(
        f"{bucket.uri} is held by {found.lease.owner} until {found.ends_at:%Y-%m-%d %H:%M:%S} UTC by its server's "
        "clock, for that server lets only one publish at a time. Nothing was changed; run the same command again "
        "after that."
    )
