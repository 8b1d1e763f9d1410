"""Input that cannot be used: one line on stderr with place and remedy, nothing on stdout, exit code 2, no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCENARIO = """\
name: test
description: a test
manifests: [{bundled: one-per-node}]
steps:
- apply: orchard
"""

MANIFEST = """\
apiVersion: ray.io/v1
kind: RayService
metadata:
  name: stand
spec:
  serveConfigV2: |
    applications:
      - name: app
        import_path: fruit.deployment_graph
        route_prefix: /
  rayClusterConfig:
    headGroupSpec:
      template:
        spec:
          containers:
            - {name: ray-head, image: "rayproject/ray:2.52.0"}
"""
SERVE = MANIFEST[MANIFEST.index("  serveConfigV2") : MANIFEST.index("  rayClusterConfig")]

Cli = Callable[..., Any]


@pytest.fixture
def refused(rayrig_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs what is in `test.yaml`; answers the one line without the program's name."""
    monkeypatch.chdir(tmp_path)

    def call(content: str | bytes | None = None, *arguments: str) -> str:
        if content is not None:
            raw = content if isinstance(content, bytes) else content.encode()
            (tmp_path / "test.yaml").write_bytes(raw)
        done = rayrig_cli("run", *(arguments or ("test.yaml",)))
        assert (done.code, done.out) == (2, "")
        line, end, rest = done.err.partition("\n")
        assert (end, rest) == ("\n", "")
        assert line.startswith("rayrig: ")
        assert line.isprintable()
        assert line.endswith(")"), "the remedy comes last, in brackets"
        return line.removeprefix("rayrig: ")

    return call


@pytest.mark.parametrize(
    ("content", "told"),
    [
        # YAML that does not parse
        (SCENARIO + "- sleep: [", "test.yaml:7: not YAML: did not find expected"),
        (SCENARIO + "\t- sleep: 1s", "(indent with spaces, not tabs"),
        (SCENARIO + "seed: !!python/name:os.system x\n", "test.yaml:6: not YAML: could not determine a constructor"),
        ("", "test.yaml: the file is empty"),
        ("# nothing\n", "test.yaml: the file is empty"),
        ("hello\n", "test.yaml:1: this is no scenario"),
        (bytes(range(256)), "test.yaml is not UTF-8 text (byte 128)"),
        ("name: café\n".encode("latin-1"), "test.yaml is not UTF-8 text (byte 9)"),
        ("name: a\n".encode("utf-16"), "test.yaml is not UTF-8 text"),
        ("name: a\0b\n", "test.yaml:1: not YAML: unacceptable character #x0000"),
        (SCENARIO + "name: again\n", 'test.yaml:6: "name" is written twice, first on line 1 (remove one of them)'),
        ("a: &x {b: *x}\n", "test.yaml:1: an alias refers to what it is part of (write it out)"),
        ("[" * 100_000, "test.yaml:1: nested more than 200 deep (flatten it)"),
        (
            "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 50)) + SCENARIO,
            "more than 500,000 values, with those that aliases stand for (use fewer aliases)",
        ),
        # An unknown field, also one with control characters; a wrong type
        (SCENARIO + "sede: 3\n", 'test.yaml:6 sede: no field is called "sede" (did you mean "seed"?)'),
        (SCENARIO + '"a\\nb\\e[31m": 1\n', r'test.yaml:6 a\nb\x1b[31m: no field is called "a\nb\x1b[31m"'),
        (SCENARIO + "seed: seven\n", 'test.yaml:6 seed: this is the text "seven" (give a whole number)'),
        (SCENARIO + "seed: -1\n", "test.yaml:6 seed: the number -1: input should be greater than or equal to 0"),
        (SCENARIO + "nodes: 3\n", "test.yaml:6 nodes: this is the number 3 (give a list)"),
        (SCENARIO + "nodes: [{cpu: 1e999}]\n", 'nodes[0].cpu: "1e999" is more than Kubernetes can count (give less)'),
        (SCENARIO + f"duration: {'9' * 400}s\n", '…" is no duration (write one such as'),
        (SCENARIO + "duration: .inf\n", 'test.yaml:6 duration: inf has no unit (write "30s" or "30ms")'),
        # Manifests
        (SCENARIO + "- apply: {file: nowhere.yaml}\n", "test.yaml:6 steps[1].apply: no such file: nowhere.yaml"),
        (MANIFEST + "---\n" + MANIFEST, 'test.yaml:21 metadata.name: a second RayService is called "stand"'),
        (MANIFEST.replace("import_path", "import"), "test.yaml:8 applications[0].import_path: invalid Serve config:"),
        (MANIFEST.replace("    applications:", "    applications: ["), "test.yaml:"),
        (MANIFEST.replace(SERVE, "  serveConfigV2: 7\n"), "spec.serveConfigV2: this is the number 7 (give a text)"),
        (MANIFEST.replace(SERVE, "  serveConfigV2: {a: 1}\n"), "spec.serveConfigV2: this is a mapping (give a text)"),
        (MANIFEST.replace(SERVE, '  serveConfigV2: "[1]"\n'), "test.yaml:6: invalid Serve config:"),
        (MANIFEST.replace(SERVE, f'  serveConfigV2: "{"[" * 9000}"\n'), "nested more than 200 deep"),
        (
            MANIFEST.replace("headGroupSpec", "headGroup"),
            'no field is called "headGroup" (did you mean "headGroupSpec"?)',
        ),
        (MANIFEST.replace("ray.io/v1", "ray.io/v2"), "test.yaml:1 apiVersion: apiVersion of the RayService is"),
        ("apiVersion: ray.io/v1\nkind: RayService\nmetadata: {name: a}\n", "test.yaml:1: the RayService has no spec"),
        (
            "apiVersion: ray.io/v1\nkind: RayCluster\nmetadata: {name: a}\nspec: {}\n",
            "test.yaml:",
        ),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n",
            "test.yaml:1: there is no RayService, no RayCluster and no workload",
        ),
        (
            "apiVersion: v1\nkind: List\nitems: []\n",
            "test.yaml: there is no RayService, no RayCluster and no workload",
        ),
        ("apiVersion: v1\nkind: List\nitems: 3\n", "test.yaml:3 items: this is the number 3 (give a list of objects)"),
        # Faults
        (
            SCENARIO + "- fault: head-crush\n",
            'test.yaml:6 steps[1].fault: no fault is called "head-crush" (did you mean',
        ),
        (
            SCENARIO + "- fault: {kind: pod-kill, pod: nobody}\n",
            'test.yaml:6 steps[1].fault: there is no pod "nobody" in default (choose it by role and index)',
        ),
    ],
)
def test_a_file_that_cannot_be_used(refused: Callable[..., str], content: str | bytes, told: str) -> None:
    assert told in refused(content)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("zero-downtime-upgrad",),
            'no scenario is called "zero-downtime-upgrad" (did you mean "zero-downtime-upgrade"?',
        ),
        (("nowhere/test.yaml",), "no such file: nowhere/test.yaml (there is no directory nowhere either)"),
        (("tost.yaml",), 'no such file: tost.yaml (did you mean "test.yaml"?)'),
        (("folder.yaml",), "folder.yaml is a directory (name a YAML file in it)"),
        (("loop.yaml",), "cannot read loop.yaml: Too many levels of symbolic links (check path and permissions)"),
        (("test.yaml", "--seed", "lucky"), "Invalid value for '--seed':"),
        (("test.yaml", "--seed", "-1"), "Invalid value for '--seed':"),
        (("test.yaml", "--sede", "1"), "No such option: --sede"),
        (("test.yaml", "other.yaml"), "Got unexpected extra argument"),
        (
            ("test.yaml", "--trace", "nowhere/trace"),
            "nowhere/trace: cannot write: No such file or directory (give a file in",
        ),
        (("test.yaml", "--trace", "."), ".: cannot write: Is a directory (give a file that can be written)"),
    ],
)
def test_arguments_that_cannot_be_used(
    refused: Callable[..., str], tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    assert told in refused(SCENARIO, *arguments)


def test_commands_that_do_not_exist(rayrig_cli: Cli) -> None:
    done = rayrig_cli("ran")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("rayrig: No such command 'ran'")
    assert done.err.endswith("(see `rayrig --help`)\n")


def test_a_missing_target_points_to_the_help(rayrig_cli: Cli) -> None:
    done = rayrig_cli("run")
    assert done.code == 2
    assert done.err.lower().startswith("rayrig: missing argument")
    assert done.err.endswith("(see `rayrig run --help`)\n")
    assert done.err.count("\n") == 1


def test_unusable_input_of_verify_is_one_line_too(rayrig_cli: Cli) -> None:
    done = rayrig_cli("verify", "nowhere.yaml")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"name: a\nname: b\n", b"\xff\xfe"])
def test_a_process_of_its_own_says_the_same(rayrig_process: Cli, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "test.yaml").write_bytes(content)
    done = rayrig_process("run", "test.yaml", cwd=tmp_path)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("rayrig: test.yaml")


@pytest.mark.parametrize(
    ("size", "told"),
    [
        ("3", "RESOURCES: '3' is no resource of a node (such as 2xcpu=8,memory=32Gi,nvidia.com/gpu=1)"),
        ("cpu=-1", "RESOURCES cpu: '-1' is less than nothing (such as 2xcpu=8,memory=32Gi,nvidia.com/gpu=1)"),
        ("memory=32Gx", "RESOURCES memory: '32Gx' is no quantity (such as 2xcpu=8,memory=32Gi,nvidia.com/gpu=1)"),
        ("0xcpu=1", "no nodes asked for (such as rayrig nodes 3xcpu=8,memory=32Gi --server URL)"),
    ],
)
def test_nodes_that_cannot_be(rayrig_cli: Cli, size: str, told: str) -> None:
    done = rayrig_cli("nodes", size, "--server", "http://127.0.0.1:1")
    assert (done.code, done.out, done.err) == (2, "", f"rayrig: {told}\n")


def test_a_script_beside_a_run_that_cannot_be_read(rayrig_cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: []}\n")
    script = tmp_path / "script.yaml"
    for command in (("run", tmp_path / "pod.yaml"), ("why", "a", "--scenario", tmp_path / "pod.yaml")):
        script.write_text('containers:\n- {image: web, http: {"8080": {/ready: 99}}}\n')
        done = rayrig_cli(*command, "--script", script)
        place = f"{script}:2 containers[0].http.8080./ready"
        assert (done.code, done.err) == (2, f"rayrig: {place}: this is 99 (give a whole number from 100 to 599)\n")
        done = rayrig_cli(*command, "--script", tmp_path / "nosuch.yaml")
        assert done.err == f"rayrig: no such file: {tmp_path / 'nosuch.yaml'} (check the path)\n"
