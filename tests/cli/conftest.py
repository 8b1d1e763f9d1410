"""The command line as a user meets it: arguments in; exit code, standard output and standard error out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from rayrig.cli import main


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


Cli = Callable[..., Finished]


@pytest.fixture
def rayrig_cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """The command in this process; the last run it remembers is the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    # main() sets it for the process it owns; this one is the test runner's.
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "__all__")

    def call(*arguments: str | Path) -> Finished:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Finished(code, captured.out, captured.err)

    return call


@pytest.fixture
def rayrig_process() -> Cli:
    """The command in a process of its own."""

    def call(*arguments: str | Path, **options: object) -> Finished:
        command = [sys.executable, "-m", "rayrig", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
        return Finished(done.returncode, done.stdout, done.stderr)

    return call
