"""`rayrig dashboard-diff`: exit codes, the report, differences with a reason, input that cannot be used."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

Urls = tuple[str, str]
STORIES = [
    {"name": "refused", "asks": [{"method": "PUT", "body": {}}, {"method": "GET", "path": "/api/serve/nothing"}]},
    {
        "name": "one",
        "asks": [
            {"method": "PUT", "within_s": 1, "body": {"applications": [{"name": "a", "import_path": "m.app"}]}},
            {"method": "GET", "to": "proxy", "path": "/-/routes"},
        ],
    },
]


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[Urls, Urls]]:
    """Two modelled clusters; nothing fits on the second."""
    with ExitStack() as stack:
        urls = []
        for cpus in ("4", "0"):
            sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
            ports = [str(each.getsockname()[1]) for each in sockets]
            for each in sockets:
                each.close()
            options = ["--port", ports[0], "--proxy-port", ports[1], "--agent-port", ports[2]]
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "rayrig", "dashboard", "--speed", "20", "--head-cpus", cpus, *options],
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.terminate)
            assert process.stdout is not None
            assert process.stdout.readline().startswith("ready ")
            urls.append((f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}"))
        yield urls[0], urls[1]


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    path = tmp_path / "stories.json"
    path.write_text(json.dumps(STORIES))
    return path


def _arguments(left: Urls, right: Urls, stories: Path) -> list[str]:
    return [left[0], right[0], "--left-proxy", left[1], "--right-proxy", right[1], "--stories", str(stories)]


def test_a_cluster_is_equal_to_itself(rayrig_cli: Cli, sides: tuple[Urls, Urls], tmp_path: Path) -> None:
    refused = tmp_path / "refused.json"
    refused.write_text(json.dumps(STORIES[:1]))
    done = rayrig_cli("dashboard-diff", *_arguments(sides[0], sides[0], refused))
    assert (done.code, done.err) == (0, "")
    assert "1 documents in 1 stories; 0 differences without a reason" in done.out


def test_a_difference_is_told_reported_and_may_have_a_reason(
    rayrig_cli: Cli, sides: tuple[Urls, Urls], stories: Path, tmp_path: Path
) -> None:
    report, known = tmp_path / "report.json", tmp_path / "known.toml"
    arguments = _arguments(*sides, stories)
    done = rayrig_cli("dashboard-diff", *arguments, "--report", report)
    assert done.code == 1
    assert "1. one: app:a" in done.out
    found = json.loads(report.read_text())
    assert (found["stories"], found["documents"]) == (2, 2)
    first = found["unexplained"][0]
    assert (first["left"].split(" > ")[-1], first["right"].split(" > ")[-1]) == ('"RUNNING"', '"DEPLOYING"')
    known.write_text('[[known]]\nreason = "nothing fits there"\naction = "^PUT one$"\n')
    again = rayrig_cli("dashboard-diff", *arguments, "--known", known)
    assert again.code == 0
    assert "nothing fits there" in again.out


@pytest.mark.parametrize(
    ("urls", "text", "told"),
    [
        (("ftp://x", "http://127.0.0.1:1"), "[]", "not an http URL"),
        (("http://127.0.0.1:1", "http://127.0.0.1:1"), "[]", "no stories there"),
        (("http://127.0.0.1:1", "http://127.0.0.1:1"), "{", "not JSON"),
        (("http://127.0.0.1:1", "http://127.0.0.1:1"), '[{"name": "a"}]', "no story: 'asks'"),
        (("http://127.0.0.1:1", "http://127.0.0.1:1"), json.dumps(STORIES), "no answer"),
    ],
)
def test_input_that_cannot_be_used_is_one_line(
    rayrig_cli: Cli, urls: Urls, text: str, told: str, tmp_path: Path
) -> None:
    stories = tmp_path / "stories.json"
    stories.write_text(text)
    done = rayrig_cli("dashboard-diff", *urls, "--stories", stories)
    assert done.code == 2
    assert told in done.err
    assert done.err.count("\n") == 1
