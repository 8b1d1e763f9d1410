"""`BackendConfig`: how many replicas a backend has and how many requests one call may take (ray-serve.md 13.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class BackendConfig:
    """`max_batch_size` None: the backend gets single requests."""

    num_replicas: int = 1
    max_batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.num_replicas < 1:
            raise ValueError(f"num_replicas must be at least 1, not {self.num_replicas}")
        if self.max_batch_size is not None and self.max_batch_size < 1:
            raise ValueError(f"max_batch_size must be at least 1, not {self.max_batch_size}")

    def merged(self, options: Mapping[str, Any]) -> BackendConfig:
        """With the options given. Raises `ValueError` for unknown ones and for numbers out of range."""
        unknown = [name for name in options if name not in self.__slots__]
        if unknown:
            raise ValueError(f"Unknown options in backend config: {unknown}")
        return replace(self, **options)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
