"""What a story says of earlier answers, and what each server answered.

| reference | stands for |
| --- | --- |
| `${u}` | the word of this story on this side; all names it makes in the cluster hold it |
| `${ns}` | its namespace |
| `${uid:configmaps/a}`, `${rv:configmaps/a}` | uid and version of that object as last seen |
| `${first:configmaps/a}` | its version when first seen |
| `${name:configmaps/g-}` | name that was generated from that prefix |
| `${list}`, `${continue}` | version and token of the last list |

What was not seen yet stands for something that does not exist, so that a story stays tellable when steps are left out.
"""

from __future__ import annotations

import re
from typing import Any

from rayrig_core.objects import Json, JsonObject

_REFERENCE = re.compile(r"\$\{([a-z]+)(?::([^}]*))?\}")
_UNSEEN = {"uid": "00000000-0000-4000-8000-000000000000", "rv": "1", "first": "1", "name": "unseen", "list": "0"}


class Memory:
    """What one side has answered so far."""

    def __init__(self, word: str, namespace: str) -> None:
        self._fixed = {"u": word, "ns": namespace}
        self._seen: dict[tuple[str, str], str] = {}

    def fill(self, value: Any) -> Any:
        """References in every string of a JSON value."""
        if isinstance(value, str):
            return _REFERENCE.sub(self._meant, value) if "${" in value else value
        if isinstance(value, dict):
            return {self.fill(key): self.fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        return value

    def _meant(self, found: re.Match[str]) -> str:
        what, of = found.group(1), found.group(2) or ""
        fixed = self._fixed.get(what)
        if fixed is not None:
            return fixed
        return self._seen.get((what, of), _UNSEEN.get(what, ""))

    def learn(self, path: str, body: Json) -> None:
        """From an answer to a request of that path (as written in the story)."""
        if not isinstance(body, dict):
            return
        meta = body.get("metadata")
        if not isinstance(meta, dict) or body.get("kind") in ("Status", "Table"):
            return
        resource, name = place(path)
        if "items" in body:
            self._note("list", "", meta.get("resourceVersion"))
            self._note("continue", "", meta.get("continue"))
            for item in body["items"] or ():
                if isinstance(item, dict) and isinstance(item.get("metadata"), dict):
                    self._note_object(resource, item["metadata"])
        elif not name or name == meta.get("name") or "${" in name:
            self._note_object(resource, meta)

    def _note_object(self, resource: str, meta: JsonObject) -> None:
        name = str(meta.get("name", "")).replace(self._fixed["u"], "${u}")
        key = f"{resource}/{name}"
        self._note("uid", key, meta.get("uid"))
        version = meta.get("resourceVersion")
        self._note("rv", key, version)
        if ("first", key) not in self._seen:
            self._note("first", key, version)
        prefix = meta.get("generateName")
        if prefix:
            self._note("name", f"{resource}/{prefix}", meta.get("name"))

    def _note(self, what: str, of: str, value: Any) -> None:
        if isinstance(value, str) and value:
            self._seen[what, of] = value


def place(path: str) -> tuple[str, str]:
    """(resource, name) of an API path, "" for what it does not name."""
    parts = [part for part in path.split("?")[0].split("/") if part]
    rest = parts[2:] if parts[:1] == ["api"] else parts[3:] if parts[:1] == ["apis"] else []
    if rest[:1] == ["watch"]:
        rest = rest[1:]
    if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        rest = rest[2:]
    return (rest[0] if rest else "", rest[1] if len(rest) > 1 else "")
