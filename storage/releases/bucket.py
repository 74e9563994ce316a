"""One prefix of a bucket through s3fs: what is asked of the server, and its faults in words."""

import datetime as dt
import email.utils
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fsspec.asyn import sync
from s3fs import S3FileSystem

from retrieval.errors import ReleaseError, Unreachable
from storage.passing import is_passing
from storage.releases.places import Conflict

ATTEMPTS = 4
"""Tries of one request, by the client's own rules for faults that pass."""
CONNECT_SECONDS, READ_SECONDS = 5, 30
PART_BYTES = 50 << 20
"""Files of twice this size and more are uploaded in parts."""
_REFUSED = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}


class Bucket:
    """The objects below `s3://bucket/prefix`, by their names relative to it."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.root = uri.removeprefix("s3://")
        self._files = S3FileSystem(
            use_listings_cache=False,  # others write here
            skip_instance_cache=True,
            config_kwargs={
                "retries": {"mode": "standard", "max_attempts": ATTEMPTS},
                "connect_timeout": CONNECT_SECONDS,
                "read_timeout": READ_SECONDS,
            },
        )
        self._files.retries = 2  # its own, around the client's

    @property
    def endpoint(self) -> str:
        with self._faults("reached"):
            self._files.connect()
            return str(self._files.s3.meta.endpoint_url)

    def names(self, prefix: str) -> list[str]:
        """The names right below a prefix."""
        try:
            with self._faults("listed"):
                found = self._files.ls(self._path(prefix), detail=False, refresh=True)
        except FileNotFoundError:
            return []
        names = (str(path).rstrip("/").rpartition("/")[2] for path in found)
        return sorted(name for name in names if name and not name.startswith("."))

    def below(self, name: str) -> dict[str, dict[str, Any]]:
        """The object of a name, or all below it, with what the server says of each."""
        try:
            with self._faults("listed"):
                found = self._files.find(self._path(name), detail=True, refresh=True)
        except FileNotFoundError:
            return {}
        return {path.removeprefix(f"{self.root}/"): facts for path, facts in found.items()}

    def size(self, name: str) -> int | None:
        """How long an object is, None where there is none."""
        try:
            with self._faults("read"):
                found = self._files.info(self._path(name), refresh=True)
        except FileNotFoundError:
            return None
        return int(found["size"]) if found["type"] == "file" else None

    def read(self, name: str) -> tuple[bytes, str]:
        """An object and its tag, of one answer."""
        data, facts = self._get(name)
        return data, facts["ETag"]

    def read_timed(self, name: str) -> tuple[bytes, dt.datetime, dt.datetime]:
        """An object, when it was written, and what time it is: both by the server's clock, in whole seconds."""
        data, facts = self._get(name)
        written = facts["LastModified"]
        said = facts["ResponseMetadata"]["HTTPHeaders"].get("date")
        return data, written, email.utils.parsedate_to_datetime(said) if said else written

    def write(self, name: str, data: bytes, **condition: str) -> None:
        """Write an object in one request; Conflict when its condition does not hold."""
        bucket, key, _ = self._files.split_path(self._path(name))
        with self._written():
            self._files.call_s3("put_object", Bucket=bucket, Key=key, Body=data, **condition)

    def remove(self, names: Sequence[str]) -> None:
        """Remove objects one after the other; those that are gone are no fault."""
        with self._written():  # many in one request need a checksum that not every server takes
            for name in names:
                self._files.rm_file(self._path(name))

    def upload(self, files: Mapping[str, Path]) -> None:
        """Put local files under names; folders are never put whole, for a second time would nest them."""
        with self._written():
            for _ in range(ATTEMPTS - 1):
                try:
                    return self._put(files)
                except FileNotFoundError as error:
                    if _code(error) != "NoSuchUpload":
                        raise
                    # The answer to the end of an upload in parts was lost: the client ended it again, in vain.
                    files = {name: path for name, path in files.items() if self.size(name) != path.stat().st_size}
            self._put(files)

    def _put(self, files: Mapping[str, Path]) -> None:
        if files:
            paths = [str(path) for path in files.values()]
            self._files.put(paths, [self._path(name) for name in files], chunksize=PART_BYTES)

    def download(self, files: Mapping[str, Path]) -> None:
        """Copy objects into local files."""
        for path in files.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        with self._faults("read"):
            self._files.get([self._path(name) for name in files], [str(path) for path in files.values()])

    @contextmanager
    def opened(self, name: str) -> Iterator[Any]:
        """An object to read from its beginning to its end."""
        with self._faults("read"), self._files.open(self._path(name), "rb", cache_type="readahead") as file:
            yield file

    def probe(self) -> bool:
        """Whether writes whose condition does not hold are refused."""
        name = f"probes/{uuid.uuid4().hex}"  # left by a killed run, it goes like any folder without a manifest
        with suppress(Conflict):  # the answer to its own first try, where that was lost on the way
            self.write(name, b"1", IfNoneMatch="*")
        kept = True
        try:
            for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"0123456789abcdef0123456789abcdef"'}):
                try:
                    self.write(name, b"2", **condition)
                    kept = False
                except Conflict:
                    continue
        finally:
            self.remove([name])
        return kept

    def abort_uploads(self, before: dt.datetime) -> list[str]:
        """End uploads in parts that were begun before a time and never finished: paid for, and seen by nobody."""
        bucket, prefix, _ = self._files.split_path(f"{self.root}/")
        with self._written():
            found = self._files.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=prefix).get("Uploads", [])
            old = [upload for upload in found if upload["Initiated"] < before]
            for upload in old:
                where = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
                self._files.call_s3("abort_multipart_upload", **where)
        return [str(upload["Key"]) for upload in old]

    def _get(self, name: str) -> tuple[bytes, dict[str, Any]]:
        from aiohttp import ClientPayloadError
        from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

        bucket, key, _ = self._files.split_path(self._path(name))

        async def get() -> tuple[bytes, dict[str, Any]]:
            found = await self._files._call_s3("get_object", Bucket=bucket, Key=key)
            async with found["Body"] as body:
                return await body.read(), found

        with self._faults("read"):
            for _ in range(ATTEMPTS - 1):  # the client asks again until an answer begins, not when it then breaks off
                with suppress(ClientPayloadError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError):
                    return sync(self._files.loop, get)
            return sync(self._files.loop, get)

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}".rstrip("/")

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Where nothing that is missing can be meant: a bucket that is not there is a fault."""
        try:
            with self._faults("written"):
                yield
        except FileNotFoundError as error:
            if _code(error) == "NoSuchKey":  # the answer of a write on condition of a tag
                raise Conflict from error
            raise ReleaseError(f"{self.uri} cannot be written ({error}). Make the bucket, or name another.") from error

    @contextmanager
    def _faults(self, how: str) -> Iterator[None]:
        """The client's errors as ours; absence stays what it is."""
        from aiohttp import ClientError as ConnectionFault
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, BotoCoreError, ClientError, ConnectionFault) as error:
            if _code(error) in _REFUSED:
                raise Conflict from error
            fault = Unreachable if is_passing(error) else ReleaseError
            raise fault(
                f"{self.uri} cannot be {how} ({error or type(error).__name__}). What is live there is unchanged; "
                "mend the connection or the rights, and run the same command again."
            ) from error


def _code(error: BaseException) -> str | None:
    """What the server called its refusal."""
    answer = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    return str(answer.get("Error", {}).get("Code")) if isinstance(answer, dict) else None
