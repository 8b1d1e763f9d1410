"""`ray.serve.metrics` and `ray.util.metrics`: counters, gauges and histograms of user code. They are kept, and nowhere exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class _Metric:
    """`values` holds what was recorded, by the values of the tags in order of their keys."""

    def __init__(self, name: str, description: str = "", tag_keys: Sequence[str] | None = None) -> None:
        if not name:
            raise ValueError("Empty name is not allowed. Please provide a metric name.")
        if tag_keys is not None and not isinstance(tag_keys, (tuple, list)):
            raise TypeError(f"tag_keys should be a tuple type, got: {type(tag_keys)}")
        self.name = name
        self.description = description
        self.tag_keys = tuple(tag_keys or ())
        self.values: dict[tuple[str, ...], Any] = {}
        self._defaults: dict[str, str] = {}

    def set_default_tags(self, default_tags: Mapping[str, str]) -> _Metric:
        """Raises `ValueError` for keys that were not declared."""
        self._check(default_tags)
        self._defaults = dict(default_tags)
        return self

    def _tagged(self, tags: Mapping[str, str] | None) -> tuple[str, ...]:
        """Raises `ValueError` for keys that were not declared, and for those that got no value."""
        self._check(tags or {})
        given = {**self._defaults, **(tags or {})}
        missing = [key for key in self.tag_keys if key not in given]
        if missing:
            raise ValueError(f"Missing value for tag key(s): {','.join(missing)}.")
        return tuple(given[key] for key in self.tag_keys)

    def _check(self, tags: Mapping[str, str]) -> None:
        for key in tags:
            if key not in self.tag_keys:
                raise ValueError(f"Unrecognized tag key {key}.")


class Counter(_Metric):
    """Only grows."""

    def inc(self, value: float = 1.0, tags: Mapping[str, str] | None = None) -> None:
        """Raises `ValueError` for what is not positive."""
        if value <= 0:
            raise ValueError(f"value must be >0, got {value}")
        key = self._tagged(tags)
        self.values[key] = self.values.get(key, 0.0) + value


class Gauge(_Metric):
    """The latest value."""

    def set(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        self.values[self._tagged(tags)] = value


class Histogram(_Metric):
    """All values."""

    def __init__(
        self,
        name: str,
        description: str = "",
        boundaries: Sequence[float] | None = None,
        tag_keys: Sequence[str] | None = None,
    ) -> None:
        """Raises `ValueError` for boundaries that are not positive."""
        super().__init__(name, description, tag_keys)
        if any(boundary <= 0 for boundary in boundaries or ()):
            raise ValueError("Invalid `boundaries` argument: they must be positive.")
        self.boundaries = list(boundaries or ())

    def observe(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        self.values.setdefault(self._tagged(tags), []).append(value)
