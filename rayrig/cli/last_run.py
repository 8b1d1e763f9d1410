"""Which run came last, so that `rayrig why` can be asked of it without its name: a run repeats itself from scenario and seed."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LastRun:
    """What `rayrig run` was given. `target` is a scenario's name, or a path that holds from anywhere, as `script` is."""

    target: str
    seed: int
    feature_gates: str = ""
    script: str = ""
    kuberay: str = ""


def _file() -> Path:
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state else Path.home() / ".local" / "state") / "rayrig" / "last-run.json"


def remember(run: LastRun) -> None:
    """Nothing happens where that cannot be written: it is a convenience."""
    known = replace(run, target=_from_anywhere(run.target), script=_from_anywhere(run.script))
    with suppress(OSError, RuntimeError):
        file = _file()
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f"{file.name}.{os.getpid()}")
        fresh.write_text(json.dumps(asdict(known)), encoding="utf-8")
        fresh.replace(file)


def _from_anywhere(given: str) -> str:
    return str(Path(given).resolve()) if Path(given).is_file() else given


def recall() -> LastRun | None:
    """None when there was none, or nobody knows."""
    try:
        return LastRun(**json.loads(_file().read_text(encoding="utf-8")))
    except (OSError, RuntimeError, ValueError, TypeError):
        return None
