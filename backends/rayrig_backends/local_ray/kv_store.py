"""Where an instance keeps its checkpoint: the cluster itself, a file, an object store, or a class of one's own (ray-serve.md 13.3).

A key gets the instance's namespace in front, so that a later cluster finds what an earlier one left.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from rayrig_core.errors import InputError

#: Ray's own list of what a path may begin with.
_SCHEMES = ("ray://", "file://", "s3://", "gs://", "custom://")


class KVStoreBase(ABC):
    """Bytes by key. A store of one's own, given as `custom://module.Class?argument=value`, derives from this one."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def get_storage_key(self, key: str) -> str:
        """What the key is called in the store."""
        return f"{self.namespace}-{key}"

    @abstractmethod
    def put(self, key: str, val: bytes) -> bool:
        """Keep the value; whether that was done."""

    @abstractmethod
    def get(self, key: str) -> bytes | None:
        """None when there is none."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Nothing when there is none."""


class RayInternalKVStore(KVStoreBase):
    """`ray://`: in the cluster, and gone with it."""

    def __init__(self, namespace: str, kept: dict[str, Any]) -> None:
        super().__init__(namespace)
        self._kept = kept

    def put(self, key: str, val: bytes) -> bool:
        self._kept[self.get_storage_key(key)] = val
        return True

    def get(self, key: str) -> bytes | None:
        found: bytes | None = self._kept.get(self.get_storage_key(key))
        return found

    def delete(self, key: str) -> None:
        self._kept.pop(self.get_storage_key(key), None)


class RayLocalKVStore(KVStoreBase):
    """`file://PATH`: an SQLite file with a table for each namespace. Missing folders are made."""

    def __init__(self, namespace: str, path: str) -> None:
        """Raises `ValueError` for an empty path, `InputError` for one that cannot be written."""
        if not path:
            raise ValueError("Must provide a path that is not empty, such as file:///mnt/disk/serve.db")
        super().__init__(namespace)
        self._path = Path(path)
        self._table = '"' + namespace.replace('"', '""') + '"'
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._do(f"CREATE TABLE IF NOT EXISTS {self._table} (key TEXT UNIQUE, value BLOB)")
        except (OSError, sqlite3.Error) as error:
            raise InputError(f"cannot keep a checkpoint here: {error}", where=path) from None

    def put(self, key: str, val: bytes) -> bool:
        self._do(f"INSERT OR REPLACE INTO {self._table} (key, value) VALUES (?, ?)", self.get_storage_key(key), val)
        return True

    def get(self, key: str) -> bytes | None:
        rows = self._do(f"SELECT value FROM {self._table} WHERE key = ?", self.get_storage_key(key))
        return bytes(rows[0][0]) if rows else None

    def delete(self, key: str) -> None:
        self._do(f"DELETE FROM {self._table} WHERE key = ?", self.get_storage_key(key))

    def _do(self, statement: str, *values: str | bytes) -> list[Any]:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            return connection.execute(statement, values).fetchall()


class RayObjectKVStore(KVStoreBase):
    """`s3://BUCKET/PREFIX` and `gs://BUCKET/PREFIX`: an object for each key, through fsspec."""

    def __init__(self, namespace: str, scheme: str, bucket: str, prefix: str) -> None:
        """Raises `InputError` when the package for this kind of storage is missing."""
        super().__init__(namespace)
        try:
            import fsspec  # type: ignore[import-untyped]

            self._files = fsspec.filesystem(scheme)
        except ImportError as error:
            needed = {"s3": "s3fs", "gs": "gcsfs"}[scheme]
            raise InputError(
                f"{scheme}:// is not available: {error}", remedy=f"pip install 'rayrig[drivers]' {needed}"
            ) from None
        self._folder = f"{bucket}/{prefix}".rstrip("/")

    def put(self, key: str, val: bytes) -> bool:
        self._files.pipe_file(self._path(key), val)
        return True

    def get(self, key: str) -> bytes | None:
        try:
            found: bytes = self._files.cat_file(self._path(key))
        except FileNotFoundError:
            return None
        return found

    def delete(self, key: str) -> None:
        try:
            self._files.rm_file(self._path(key))
        except FileNotFoundError:
            return

    def _path(self, key: str) -> str:
        return f"{self._folder}/{self.get_storage_key(key)}"


def open_kv_store(uri: str, namespace: str, internal: dict[str, Any]) -> KVStoreBase:
    """The store that a checkpoint path means; `internal` is what `ray://` keeps things in.

    Raises `ValueError` for another scheme, an empty path and a class that is no store, `InputError` for storage that cannot be
    used, `ImportError` and `AttributeError` for a class that is not there.
    """
    if not uri.startswith(_SCHEMES):
        raise ValueError(f"Checkpoint must be one of {', '.join(f'{each}...' for each in _SCHEMES)}, but it is {uri}")
    parts = urlsplit(uri)
    match parts.scheme:
        case "ray":
            return RayInternalKVStore(namespace, internal)
        case "file":
            return RayLocalKVStore(namespace, parts.netloc + parts.path)
        case "custom":
            return _custom(parts.netloc + parts.path, dict(parse_qsl(parts.query)), namespace)
        case scheme:
            return RayObjectKVStore(namespace, scheme, parts.netloc, parts.path.strip("/"))


def _custom(path: str, arguments: dict[str, str], namespace: str) -> KVStoreBase:
    module, _, name = path.strip("/").replace("/", ".").rpartition(".")
    found: Callable[..., Any] = getattr(import_module(module), name)
    if not isinstance(found, type) or not issubclass(found, KVStoreBase):
        raise ValueError(f"{path} is no class derived from KVStoreBase")
    return found(namespace, **arguments)
