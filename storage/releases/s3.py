"""Releases on an S3 server: every file under the name of its content, the manifest last, the pointer by condition."""

import datetime as dt
import hashlib
import logging
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path

from retrieval.errors import ArtifactError, ReleaseError
from storage.durable import retire, staged_folder, sweep_staging
from storage.manifest import MANIFEST, Manifest
from storage.refs import digest_of, digest_of_bytes
from storage.releases.bucket import Bucket
from storage.releases.lease import LEASE, Lease, remove_ended
from storage.releases.places import Conflict, Fill

_honest: dict[tuple[str, str], bool] = {}
"""Which servers were found to keep conditions, so that a process asks once."""


class S3Place:
    """A prefix of a bucket; what is read of its bundles is copied into a cache first."""

    def __init__(self, uri: str, cache: Path) -> None:
        self.uri = uri.rstrip("/")
        self.cache = cache / digest_of(self.uri)[:16]
        self.bucket = Bucket(self.uri)
        self.settle_seconds = 1.0
        """How long a lease is left lying before it counts: longer than a request of a living server takes."""

    def names(self, prefix: str = "") -> list[str]:
        return self.bucket.names(prefix)

    def exists(self, name: str) -> bool:
        return self.bucket.size(name) is not None

    def read(self, name: str) -> bytes:
        return self.bucket.read(name)[0]

    def touched(self, name: str) -> dt.datetime | None:
        return max((found["LastModified"] for found in self.bucket.below(name).values()), default=None)

    def create(self, name: str, data: bytes) -> None:
        try:
            self.bucket.write(name, data, IfNoneMatch="*")
        except Conflict:
            if self.bucket.read(name)[0] != data:  # otherwise the answer to our own first try was lost on the way
                raise FileExistsError(f"{self.uri}/{name}") from None

    def remove(self, name: str) -> None:
        self.bucket.remove([name])

    def read_tagged(self, name: str) -> tuple[bytes, str] | None:
        try:
            return self.bucket.read(name)
        except FileNotFoundError:
            return None

    def swap(self, name: str, data: bytes, expected: str | None, *, owner: str) -> None:
        condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        is_honest = self.honours_conditions()
        try:
            if is_honest:
                self.bucket.write(name, data, **condition)
            else:
                self._swap_by_lease(name, data, expected, owner)
        except (Conflict, ReleaseError):
            if self._after_fault(name) != data:  # otherwise the answer to our own first try was lost on the way
                raise

    def honours_conditions(self) -> bool:
        """Whether the server refuses a write whose condition does not hold; some answer yes to every one."""
        key = (self.bucket.endpoint, self.bucket.root.partition("/")[0])
        if key not in _honest:
            _honest[key] = self.bucket.probe()
            if not _honest[key]:
                logging.getLogger(__name__).warning(
                    "%s ignores conditional writes: a lease keeps publishers apart. Let only one publish at a time.",
                    self.uri,
                )
        return _honest[key]

    def keeps_conditions(self) -> bool | None:
        return self.honours_conditions()

    def member(self, id_: str, path: str, sha256: str) -> str:
        return f"{id_}/{sha256[:16]}/{path}"  # two that write the same release at once never tear each other's files

    def add_folder(self, id_: str, fill: Fill) -> None:
        sweep_staging(self.cache / ".adding")
        aside = self.cache / ".adding" / uuid.uuid4().hex
        with staged_folder(aside) as staging:
            fill(staging)
            manifest = Manifest.of_folder(staging, {})
            manifest.write(staging)
            pairs = {self.member(id_, entry.path, entry.sha256): staging / entry.path for entry in manifest.files}
            self.bucket.upload(pairs)
            with suppress(FileExistsError):  # another run finished the same release first
                self.create(f"{id_}/{MANIFEST}", manifest.as_bytes())
        shutil.rmtree(aside, ignore_errors=True)

    def fetch(self, id_: str, *, without: str | None = None) -> Path:
        data = self.read(f"{id_}/{MANIFEST}")
        whole = digest_of_bytes(data)
        target = self.cache / f"{id_}-{digest_of([whole, without])[:16] if without else whole[:16]}"
        if (target / MANIFEST).exists():
            return target
        manifest = Manifest.parse(data, f"{self.uri}/{id_}/{MANIFEST}")
        manifest = manifest.outside(without) if without else manifest
        sweep_staging(self.cache)
        with staged_folder(target) as staging:
            self.bucket.download(
                {self.member(id_, entry.path, entry.sha256): staging / entry.path for entry in manifest.files}
            )
            manifest.write(staging)
            manifest.check(staging)
        return target

    def drop_copy(self, id_: str) -> bool:
        copies = [copy for copy in self.cache.glob(f"{id_}-*") if copy.name.rpartition("-")[0] == id_]
        for copy in copies:
            retire(copy)
        return bool(copies)

    def check(self, id_: str, manifest: Manifest, *, full: bool) -> None:
        for entry in manifest.files:
            name = self.member(id_, entry.path, entry.sha256)
            size = self.bucket.size(name)
            if size is None:
                raise ArtifactError(f"{self.uri}/{name} is missing. Run its night again.")
            if size != entry.size or (full and self._digest(name) != entry.sha256):
                raise ArtifactError(f"{self.uri}/{name} does not match its manifest. Remove it, run its night again.")

    def remove_folder(self, id_: str) -> None:
        self.bucket.remove([f"{id_}/{MANIFEST}"])  # from here on it is no release
        self.bucket.remove(sorted(self.bucket.below(id_)))

    def sweep(self, before: dt.datetime, known: frozenset[str]) -> list[str]:
        sweep_staging(self.cache)
        sweep_staging(self.cache / ".adding")
        for copy in self.cache.iterdir() if self.cache.is_dir() else ():
            if not copy.name.startswith(".") and copy.name.rpartition("-")[0] not in known:
                shutil.rmtree(copy, ignore_errors=True)
        swept = self.bucket.abort_uploads(before)
        return [*swept, LEASE] if remove_ended(self.bucket) else swept

    def _swap_by_lease(self, name: str, data: bytes, expected: str | None, owner: str) -> None:
        """The same without conditions: alone by a lease, as long as no request outlasts its settling."""
        with Lease.held(self.bucket, owner, self.settle_seconds, time.sleep) as still_held:
            found = self.read_tagged(name)
            if (found[1] if found else None) != expected:
                raise Conflict
            still_held()
            self.bucket.write(name, data)

    def _after_fault(self, name: str) -> bytes | None:
        """What an object holds after its writing was refused or gave no answer."""
        try:
            found = self.read_tagged(name)
        except ReleaseError as error:
            raise ReleaseError(
                f"{self.uri} stopped answering while {name} was written: it may have moved or not. Look at "
                "`lamplighter releases audit` when it answers again, then run the same command again."
            ) from error
        return found[0] if found else None

    def _digest(self, name: str) -> str:
        with self.bucket.opened(name) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
