"""Makes `scripted_world`, the small world these tests run in, importable here and in the processes they start."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))


@pytest.fixture
def helper_path(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Processes started by the test can import `scripted_world` too."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    return HERE
