"""Artefacts in a folder or in a bucket that speaks S3, through Django's storages; nothing is ever overwritten."""

import errno
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.files.storage import FileSystemStorage

from trading.ports import ArtifactError, ArtifactExists, ArtifactMissing, ArtifactStore, ArtifactUnreachable

NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}){0,7}")
CONNECT_S: Final = 3  # a store that does not answer is not waited for
READ_S: Final = 20
TRIES: Final = 2
GONE: Final = frozenset({"404", "NoSuchKey", "NotFound"})
TAKEN: Final = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})


def store() -> ArtifactStore:
    """Return the store of this installation, as its settings name it."""
    if settings.ARTIFACTS_S3["bucket"]:
        return S3Artifacts(**settings.ARTIFACTS_S3)
    return FolderArtifacts(settings.ARTIFACTS_DIR)


def checked(name: str) -> str:
    """Return `name`, plain words joined by "/".

    Raises:
        ArtifactError: anything else.
    """
    if not NAME.fullmatch(name):
        raise ArtifactError(f"{name!r:.80} is no name of an artefact; use letters, digits, '-', '_' and '.'.")
    return name


class FolderArtifacts:
    """Artefacts as files below one folder; a link is never followed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._storage = FileSystemStorage(root)

    def put(self, name: str, content: bytes) -> None:
        """Store `content`, on the disk and whole when this returns; see `trading.ports.ArtifactStore`."""
        path = self._path(name)
        with _disk(name):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._refuse_links(path)
            try:
                _write_once(path, content)
            except FileExistsError:
                _refuse_other(name, self.get(name, at_most=max(len(content), self.head(name) or 0)), content)

    def get(self, name: str, *, at_most: int) -> bytes:
        """Return the content; see `trading.ports.ArtifactStore`."""
        path = self._path(name)
        with _disk(name):
            self._refuse_links(path)
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(descriptor, "rb") as file:
                return _within(name, file.read(at_most + 1), at_most)

    def list(self, prefix: str) -> Sequence[str]:
        """Return every name below `prefix`; see `trading.ports.ArtifactStore`."""
        root = self._path(prefix.rstrip("/")) if prefix else Path(self._storage.location)
        with _disk(prefix):
            found = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
            names = (path.relative_to(self._storage.location).as_posix() for path in found)
            return sorted(name for name in names if NAME.fullmatch(name))

    def head(self, name: str) -> int | None:
        """Return the size in bytes; see `trading.ports.ArtifactStore`."""
        path = self._path(name)
        try:
            with _disk(name):
                self._refuse_links(path)
                return path.lstat().st_size
        except ArtifactMissing:
            return None

    def _path(self, name: str) -> Path:
        return Path(self._storage.path(checked(name)))

    def _refuse_links(self, path: Path) -> None:
        """A link could lead out of the folder, or to what somebody changes later."""
        for part in (path, *path.parents):
            if part == self._root:
                return
            if part.is_symlink():
                raise ArtifactError(f"{part.name} is a link, which is never followed; put the file itself there.")


class S3Artifacts:
    """Artefacts as objects of one bucket of a server that speaks S3."""

    def __init__(self, *, bucket: str, endpoint: str = "", key: str = "", secret: str = "", region: str = "") -> None:
        """Without `key` the credentials are those of the host, as the AWS tools find them."""
        from botocore.config import Config  # a second of imports, only where a bucket is used
        from storages.backends.s3 import S3Storage

        config = Config(
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            retries={"total_max_attempts": TRIES, "mode": "standard"},
            s3={"addressing_style": "path" if endpoint else "auto"},
        )
        storage = S3Storage(
            bucket_name=bucket,
            endpoint_url=endpoint or None,
            access_key=key or None,
            secret_key=secret or None,
            region_name=region or "us-east-1",
            client_config=config,
            file_overwrite=False,
        )
        self._bucket = bucket
        self._client = storage.connection.meta.client

    def put(self, name: str, content: bytes) -> None:
        """Store `content`; see `trading.ports.ArtifactStore`.

        The server decides whether there is one already (`If-None-Match: *`): two who put at once cannot both win.
        """
        if self.head(name) is None:  # a server may not know the header
            with suppress(ArtifactExists), _answers(name):
                self._client.put_object(Bucket=self._bucket, Key=name, Body=content, IfNoneMatch="*")
                return
        _refuse_other(name, self.get(name, at_most=max(len(content), self.head(name) or 0)), content)

    def get(self, name: str, *, at_most: int) -> bytes:
        """Return the content; see `trading.ports.ArtifactStore`."""
        with _answers(checked(name)):
            found = self._client.get_object(Bucket=self._bucket, Key=name)
            with found["Body"] as body:
                content: bytes = body.read(at_most + 1)
        if len(content) < min(found["ContentLength"], at_most + 1):
            raise ArtifactUnreachable(f"{name}: the store ended the answer early; try again.")
        return _within(name, content, at_most)

    def list(self, prefix: str) -> Sequence[str]:
        """Return every name below `prefix`; see `trading.ports.ArtifactStore`."""
        below = f"{checked(prefix.rstrip('/'))}/" if prefix else ""
        with _answers(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=below)
            return sorted(entry["Key"] for page in pages for entry in page.get("Contents", ()))

    def head(self, name: str) -> int | None:
        """Return the size in bytes; see `trading.ports.ArtifactStore`."""
        try:
            with _answers(checked(name)):
                return int(self._client.head_object(Bucket=self._bucket, Key=name)["ContentLength"])
        except ArtifactMissing:
            self._refuse_no_bucket()
            return None

    def _refuse_no_bucket(self) -> None:
        """A head of nothing has no body to say whether the object or the whole bucket is gone."""
        try:
            with _answers(self._bucket):
                self._client.head_bucket(Bucket=self._bucket)
        except ArtifactMissing as error:
            raise ArtifactUnreachable(f"there is no bucket {self._bucket}; make it, or name another.") from error


def _write_once(path: Path, content: bytes) -> None:
    """Write beside and link: a reader never sees half a file, and a second writer does not win."""
    descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(fresh, 0o444)
        os.link(fresh, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(fresh)


def _refuse_other(name: str, found: bytes, content: bytes) -> None:
    if found != content:
        raise ArtifactExists(f"{name}: there is another one of this name, which stays; give the new one its own name.")


def _within(name: str, content: bytes, at_most: int) -> bytes:
    if len(content) > at_most:
        raise ArtifactError(f"{name}: larger than the {at_most:,} bytes it may have; it is not what we stored.")
    return content


@contextmanager
def _disk(name: str) -> Iterator[None]:
    """Say what an error of the disk means for whoever asked.

    Raises:
        ArtifactMissing, ArtifactError, ArtifactUnreachable
    """
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ArtifactMissing(f"{name}: there is no such artefact.") from error
    except IsADirectoryError as error:
        raise ArtifactMissing(f"{name}: this is a folder, no artefact.") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ArtifactError(f"{name} is a link, which is never followed; put the file itself there.") from error
        raise ArtifactUnreachable(f"{name}: the store cannot be used ({error.strerror}); look at the disk.") from error


@contextmanager
def _answers(name: str) -> Iterator[None]:
    """Say what an error of the server, or of the way to it, means for whoever asked.

    Raises:
        ArtifactMissing, ArtifactExists, ArtifactUnreachable
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ClientError as error:
        raise _meaning(name, str(error.response.get("Error", {}).get("Code", "")), error) from error
    except (BotoCoreError, Boto3Error, HTTPClientError, HTTPError, OSError) as error:
        raise ArtifactUnreachable(f"{name}: the store does not answer ({type(error).__name__}).") from error


def _meaning(name: str, code: str, error: Any) -> ArtifactError:
    if code in GONE:
        return ArtifactMissing(f"{name}: there is no such artefact.")
    if code in TAKEN:
        return ArtifactExists(f"{name}: somebody else stored one of this name at the same time; try again.")
    if code == "NoSuchBucket":
        return ArtifactUnreachable(f"{name}: there is no such bucket; make it, or name another.")
    return ArtifactUnreachable(f"{name}: the store refused ({code or error}); look at its key and its rights.")
