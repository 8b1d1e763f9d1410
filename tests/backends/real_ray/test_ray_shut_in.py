"""How a Ray is shut in, reached and ended: with something in its place that starts as it does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rayrig_backends.plain_http import ask
from rayrig_backends.real_ray import local
from rayrig_backends.real_ray.local import RayFailed, RealRay, RealRaySettings, check
from rayrig_core.errors import InputError
from rayrig_core.http import HttpFailure, HttpRequest


@pytest.fixture
def ray(stand_in: RealRaySettings) -> Iterator[RealRay]:
    with RealRay(stand_in) as running:
        yield running


def _get(url: str, path: str = "/") -> str:
    return ask(url, HttpRequest.of("GET", path), timeout_s=10).body.decode()


def _inside(ray: RealRay) -> list[str]:
    """Processes that have the folder's name in their command."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(ray.folder) in command:
                found.append(entry.name)
    return found


def test_its_ports_are_reached_through_loopback(ray: RealRay) -> None:
    assert [_get(url, "/a") for url in (ray.url, ray.agent_url, ray.proxy_url)] == ["8265 /a", "52365 /a", "8000 /a"]


def test_it_has_no_interface_but_loopback(ray: RealRay) -> None:
    assert _get(ray.url, "/interfaces") == "lo"


def test_a_head_that_is_killed_answers_nothing_until_it_is_started_again(ray: RealRay) -> None:
    ray.kill_head()
    with pytest.raises(HttpFailure):
        _get(ray.url)
    ray.start_head()
    assert _get(ray.url) == "8265 /"


def test_nothing_is_left_of_it(stand_in: RealRaySettings) -> None:
    with RealRay(stand_in) as ray:
        assert _inside(ray)
        url = ray.url
    assert _inside(ray) == []
    assert not ray.folder.exists()
    with pytest.raises(HttpFailure):
        _get(url)
    ray.close()


def test_nothing_is_left_of_it_when_who_started_it_is_killed(stand_in: RealRaySettings) -> None:
    program = f"""
from pathlib import Path
from rayrig_backends.real_ray.local import RealRay, RealRaySettings
with RealRay(RealRaySettings(python=Path({str(stand_in.python)!r}))) as ray:
    print(ray.folder, flush=True)
    input()
"""
    owner = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    folder = Path(owner.stdout.readline().strip())
    assert folder.is_dir()
    owner.kill()
    owner.communicate()
    ends_s = time.monotonic() + 30
    while folder.exists() and time.monotonic() < ends_s:
        time.sleep(0.01)
    assert not folder.exists()


def test_a_start_that_fails_says_why_and_leaves_nothing(
    stand_in: RealRaySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_REDIS_ADDRESS", "none")
    ray = RealRay(stand_in)
    with pytest.raises(RayFailed, match="ended with 3: no place for tables"):
        ray.__enter__()
    assert not ray.folder.exists()


# What is needed


def test_without_ray_it_says_what_to_install() -> None:
    missing = Path("/nowhere/python")
    with pytest.raises(InputError, match=r"Ray is not installed \(pip install 'rayrig\[ray\]'\)"):
        check(RealRaySettings(python=missing))


def test_without_namespaces_it_refuses(stand_in: RealRaySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_unshare", lambda: ["false"])
    with pytest.raises(InputError, match="in a network namespace only, and none can be made"):
        check(stand_in)


def test_a_folder_of_applications_must_be_there(stand_in: RealRaySettings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        check(RealRaySettings(python=stand_in.python, app_dir=tmp_path / "none"))
