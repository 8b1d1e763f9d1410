"""What README and docs show is what happens: scenarios run, tests pass, output is as printed, links lead somewhere.

`RAYRIG_UPDATE=1` writes printed output anew; read the diff.
"""

from __future__ import annotations

import io
import os
import re
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from rayrig.report.terminal import print_result
from rayrig.report.why import print_chain
from rayrig_scenarios.language.load import bundled_scenarios, load, load_text
from rayrig_scenarios.runner import run

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

#: A fenced block, with the comment on the line above it that says what to do with it.
BLOCK = re.compile(r"(?:<!-- (?P<mark>[^>]*) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)


def blocks(language: str, mark: str) -> list[tuple[Path, int, str]]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in BLOCK.finditer(text):
            if block["language"] == language and (block["mark"] or "").startswith(mark):
                found.append((page, text.count("\n", 0, block.start("text")) + 1, block["text"]))
    return found


def names(found: list[tuple[Path, int, str]]) -> list[str]:
    return [f"{page.name}:{line}" for page, line, _ in found]


SCENARIOS = blocks("yaml", "runs")
STEPS = [one for one in blocks("yaml", "") if one not in SCENARIOS]
TESTS = blocks("python", "pytest")


def test_every_python_block_is_a_test() -> None:
    assert names(blocks("python", "")) == names(TESTS)


@pytest.mark.parametrize(("page", "line", "text"), SCENARIOS, ids=names(SCENARIOS))
def test_a_scenario_shown_holds(page: Path, line: int, text: str) -> None:
    result = run(load_text(text, f"{page.name}:{line}", folder=page.parent))
    assert [one.title for one in result.expectations if one.verdict != "pass"] == []
    assert result.exit_code == 0


#: What a fragment is put into, so that it is a scenario.
FRAME = """\
name: fragment
description: a part of a scenario
manifests: [{bundled: fruit-stand}]
"""
TRAFFIC = "traffic: [{name: shoppers, service: fruit-stand-serve-svc, rate: 1/s, requests: {path: /}}]\n"


@pytest.mark.parametrize(("page", "line", "text"), STEPS, ids=names(STEPS))
def test_a_fragment_shown_is_understood(page: Path, line: int, text: str) -> None:
    """A fragment is top-level fields, or a list of steps, or (marked so) of expectations."""
    mark = next(b["mark"] or "" for b in BLOCK.finditer(page.read_text(encoding="utf-8")) if b["text"] == text)
    fields = [field for field in ("traffic", "steps") if not re.search(rf"^{field}:", text, re.MULTILINE)]
    frame = FRAME if not re.search(r"^manifests:", text, re.MULTILINE) else FRAME.partition("manifests")[0]
    frame += TRAFFIC if "traffic" in fields else ""
    if text.startswith("- "):
        key = "expect" if mark == "expectations" else "steps"
        frame += "" if key == "steps" else "steps: [{apply: fruit-stand}]\n"
        text = f"{key}:\n{text}"
        text = text.replace("steps:\n", "steps:\n- apply: fruit-stand\n") if key == "steps" else text
    elif "steps" in fields:
        frame += "steps: [{apply: all}]\n"
    load_text(frame + text, f"{page.name}:{line}", folder=page.parent)


@pytest.mark.parametrize(("page", "line", "text"), TESTS, ids=names(TESTS))
def test_a_test_shown_passes(pytester: pytest.Pytester, page: Path, line: int, text: str) -> None:
    pytester.makepyfile(text)
    # In a process of its own: modules that a run in this one has imported are forgotten after it, and some bear no second import.
    result = pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:cacheprovider")
    assert result.ret == 0
    assert result.parseoutcomes()["passed"] == text.count("def test_")


# Printed output


def alike(line: str) -> str:
    """A line without what another draw of durations and names would change."""
    line = re.sub(r"(?<=-)[a-z0-9]{5}\b", "x", line)
    line = re.sub(r"[0-9]+(?:[.,][0-9]+)*", "0", line)
    line = re.sub(r"digest [0-9a-f]+", "digest x", line)
    return " ".join(line.split())


def printed(scenario: str) -> list[str]:
    out = Console(file=io.StringIO(), width=140, markup=False, highlight=False, emoji=False)
    print_result(out, run(load(scenario)))
    assert isinstance(out.file, io.StringIO)
    return [line.rstrip() for line in out.file.getvalue().splitlines()]


def told(question: str, shown: list[str]) -> list[str]:
    """What `rayrig why` prints in 80 columns of the pod that is shown, or, as names are drawn, of one that has the same to tell."""
    given = shlex.split(question)
    result = run(load(given[given.index("--scenario") + 1]))
    at = given[given.index("--at") + 1] if "--at" in given else None
    name = shown[0].split()[0]
    known = list(dict.fromkeys(change.key.partition("/")[2] for change in result.record.changes["pods"]))
    others = [other for other in known if alike(other) == alike(name)]
    for candidate in [name] if name in known else others:
        out = Console(file=io.StringIO(), width=80, markup=False, highlight=False, emoji=False)
        print_chain(out, result.why(f"default/{candidate}", at))
        assert isinstance(out.file, io.StringIO)
        lines = [line.rstrip() for line in out.file.getvalue().splitlines()]
        if [alike(line) for line in lines] == [alike(line) for line in shown if line.strip() != "⋮"]:
            break
    return lines


def excerpt(lines: list[str], shown: list[str]) -> list[str]:
    """The lines of a fresh run that stand where the shown ones stand; a line `⋮` in between leaves some out."""
    found: list[str] = []
    position = 0
    for line in shown:
        if line.strip() in ("", "⋮"):
            found.append(line)
            continue
        wanted = alike(line)
        position = next((i for i in range(position, len(lines)) if alike(lines[i]) == wanted), -1) + 1
        assert position, f"no longer printed: {line}"
        # How long it took is another thing each time.
        found.append(line if " simulated in " in line else lines[position - 1])
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_printed_output_is_what_a_run_prints(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for block in list(BLOCK.finditer(text)):
        mark = block["mark"] or ""
        command, _, rest = mark.removeprefix("output of: rayrig ").partition(" ")
        if not mark.startswith("output of: ") or command not in ("run", "why"):
            continue
        shown = block["text"].splitlines()
        fresh = excerpt(printed(rest) if command == "run" else told(rest, shown), shown)
        if os.environ.get("RAYRIG_UPDATE"):
            text = text.replace(block["text"], "".join(f"{line}\n" for line in fresh))
            page.write_text(text, encoding="utf-8")


# Completeness


def test_every_bundled_scenario_is_in_the_readme() -> None:
    readme = PAGES[0].read_text(encoding="utf-8")
    assert re.findall(r"^\| `([\w-]+)` \|", readme, re.MULTILINE) == bundled_scenarios()


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_two_commands_are_those_of_continuous_integration() -> None:
    readme = PAGES[0].read_text(encoding="utf-8")
    checks = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    tests = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/python -m pytest -n auto"
    assert tests in readme
    assert tests in checks
    assert "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/rayrig run zero-downtime-upgrade" in readme
    assert ".venv/bin/rayrig run zero-downtime-upgrade" in checks
