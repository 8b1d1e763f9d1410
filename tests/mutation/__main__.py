"""`python -m tests.mutation`: do the tests of the controllers notice when the code is changed?

mutmut makes the mutants and runs, for each, the tests that call the mutated function, in two lines: `tests/controllers`,
and the recordings of KubeRay's operator for what the first line left. All of it happens in a copy outside the tree
(`RAYRIG_MUTATION_FOLDER`, by default in the user's cache), where what is known already is kept: a run that was broken
off goes on, and a changed function or a changed test is judged anew.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

HERE = Path(__file__).parents[2]
PACKAGES = tuple(
    tomllib.loads((HERE / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
)
#: Tests and what they read.
COPIED_TESTS = (
    "tests/conftest.py",
    "tests/controllers",
    "tests/conformance/operator",
    "tests/conformance/recordings/operator",
    "tests/mutation/covering_tests.py",
)
#: The lines and the tests of each; what one leaves is run against the next.
LINES = {"tests": "tests/controllers", "recordings": "tests/conformance/operator/test_operator_recordings.py"}

#: mutmut's exit codes of mutants that were noticed: failed tests, an internal error of pytest, too long, too large.
_KILLED = frozenset((1, 3, 36, 24, -24, 152, 255, -9, -11))
_UNTESTED = frozenset((5, 33))

_MUTMUT = str(Path(sys.executable).with_name("mutmut"))
_GENERATE = """
from mutmut.__main__ import copy_also_copy_files, copy_src_dir, create_mutants
copy_src_dir()
copy_also_copy_files()
create_mutants(1)
"""
_SHOW = """
import json, sys
from pathlib import Path
from mutmut.mutation.diff_apply import get_diff_for_mutant
def path(name):
    found = Path("src", *name.rpartition(".")[0].split("."))
    return found / "__init__.py" if found.is_dir() else found.with_suffix(".py")
def body(diff):
    return diff.partition("+++")[2].partition("\\n")[2].rstrip()
print(json.dumps([body(get_diff_for_mutant(name, path=path(name))) for name in sys.stdin.read().split()]))
"""


@dataclass(frozen=True)
class Line:
    """One line of tests: a folder in which mutmut works."""

    name: str
    tests: str
    folder: Path

    @property
    def mutants(self) -> Path:
        return self.folder / "mutants"

    def prepare(self) -> None:
        """Bring the copy up to date and make the mutants of what changed."""
        for package in PACKAGES:
            self._mirror(HERE / package, Path("src") / Path(package).name)
        changed = [self._mirror(HERE / path, Path(path)) for path in COPIED_TESTS]
        if any(changed):
            shutil.rmtree(self.mutants / "tests", ignore_errors=True)
            (self.mutants / "mutmut-stats.json").unlink(missing_ok=True)
            self._forget_survivors()
        self._configure()
        samples = self.folder / "shared"
        if (HERE.parent / "shared").exists() and not samples.is_symlink():
            samples.symlink_to(HERE.parent / "shared")
        subprocess.run([sys.executable, "-c", _GENERATE], cwd=self.folder, check=True, stdout=subprocess.DEVNULL)

    def _mirror(self, source: Path, to: Path) -> bool:
        """Whether anything differed. Files that are the same keep their time, by which mutmut knows them."""
        target, changed = self.folder / to, False
        files = [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]
        wanted = {
            target / path.relative_to(source) if path != source else target: path
            for path in files
            if "__pycache__" not in path.parts
        }
        for copy, path in wanted.items():
            if not copy.exists() or copy.read_bytes() != path.read_bytes():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
                changed = True
                if path.suffix != ".py":
                    (self.mutants / copy.relative_to(self.folder)).unlink(missing_ok=True)
        for copy in [target, *target.rglob("*")]:
            if copy.is_file() and copy not in wanted:
                copy.unlink()
                for left in (copy, copy.with_name(f"{copy.name}.meta")):
                    (self.mutants / left.relative_to(self.folder)).unlink(missing_ok=True)
                changed = True
        return changed

    def _configure(self) -> None:
        text = (HERE / "pyproject.toml").read_text()
        ours = json.dumps([self.tests])
        text = text.replace("[tool.mutmut]\n", f"[tool.mutmut]\npytest_add_cli_args_test_selection = {ours}\n")
        (self.folder / "pyproject.toml").write_text(text)

    def _metas(self) -> list[Path]:
        return sorted((self.mutants / "src" / "rayrig_controllers").rglob("*.py.meta"))

    def results(self) -> dict[str, int | None]:
        """mutmut's exit code of each mutant, `None` of those that were not run."""
        found: dict[str, int | None] = {}
        for meta in self._metas():
            found |= json.loads(meta.read_text())["exit_code_by_key"]
        return found

    def _forget_survivors(self) -> None:
        for meta in self._metas():
            told = json.loads(meta.read_text())
            codes = told["exit_code_by_key"]
            told["exit_code_by_key"] = {name: code if code in _KILLED else None for name, code in codes.items()}
            meta.write_text(json.dumps(told))

    def run(self, names: list[str], processes: int) -> None:
        """The tests of this line against these mutants."""
        if names:
            self._mutmut("run", "--max-children", str(processes), *names)

    def show(self, names: list[str]) -> dict[str, str]:
        """The difference that each mutant is."""
        command = [sys.executable, "-c", _SHOW]
        told = subprocess.run(
            command, cwd=self.folder, check=True, capture_output=True, text=True, input="\n".join(names)
        )
        return dict(zip(names, json.loads(told.stdout), strict=True))

    def _mutmut(self, *arguments: str) -> None:
        subprocess.run([_MUTMUT, *arguments], cwd=self.folder, check=True)


def readable(name: str) -> str:
    """`rayrig_controllers.a.xǁClassǁmethod__mutmut_3` is `a.Class.method 3`."""
    module, _, function = name.removeprefix("rayrig_controllers.").rpartition(".")
    function, _, number = function.partition("__mutmut_")
    return f"{module}.{function.removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')} {number}"


def _wanted(name: str, scopes: list[str]) -> bool:
    plain = readable(name).partition(" ")[0]
    return not scopes or any(
        plain == scope or plain.startswith(f"{scope}.") or fnmatch.fnmatchcase(readable(name), scope)
        for scope in (scope.removeprefix("rayrig_controllers").removeprefix(".") for scope in scopes)
        if scope
    )


def _folder() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("RAYRIG_MUTATION_FOLDER") or cache / "rayrig" / "mutation")


def _run(lines: list[Line], scopes: list[str], every: int, processes: int) -> None:
    killed: set[str] = set()
    for line in lines:
        line.prepare()
        killed |= {name for name, code in line.results().items() if code in _KILLED}
    sample = [name for name in lines[0].results() if _wanted(name, scopes) and crc32(name.encode()) % every == 0]
    for line in lines:
        known = line.results()
        line.run([name for name in sample if known[name] is None and name not in killed], processes)
        killed |= {name for name, code in line.results().items() if code in _KILLED}


def _report(lines: list[Line], scopes: list[str], *, show: bool) -> None:
    codes = [line.results() for line in lines]
    names = [name for name in codes[0] if _wanted(name, scopes)]
    tally: Counter[tuple[str, str]] = Counter()
    unnoticed: dict[str, str] = {}
    for name in names:
        told = [of_line.get(name) for of_line in codes]
        killers = [line.name for line, code in zip(lines, told, strict=True) if code in _KILLED]
        if killers:
            verdict = f"killed by {killers[0]}"
        elif None in told:
            verdict = "not run"
        else:
            verdict = "no tests" if _UNTESTED.issuperset(told) else "survived"
        tally[name.rpartition(".")[0].removeprefix("rayrig_controllers."), verdict] += 1
        if verdict in ("survived", "no tests"):
            unnoticed[name] = verdict
    changes = lines[0].show(list(unnoticed)) if show and unnoticed else {}
    for name, verdict in unnoticed.items():
        print(f"{verdict}: {readable(name)}")
        if name in changes:
            print(changes[name], end="\n\n")
    print(f"\n{'module':34} {'mutants':>7} {'killed':>7} {'left':>5} {'not run':>7}  score")
    for module in [*dict.fromkeys(module for module, _ in tally), ""]:
        counts: Counter[str] = Counter()
        for (of, verdict), count in tally.items():
            if not module or of == module:
                counts[verdict.partition(" by")[0]] += count
        run = counts.total() - counts["not run"]
        score = f"{counts['killed'] / run:6.1%}" if run else "     -"
        left = counts["survived"] + counts["no tests"]
        print(f"{module or 'all':34} {counts.total():7} {counts['killed']:7} {left:5} {counts['not run']:7} {score}")


def main(arguments: list[str]) -> int:
    """Run, then tell what is left; exits 0 whatever it is."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutation", description="What do the tests of the controllers not notice?"
    )
    parser.add_argument(
        "scopes", nargs="*", metavar="SCOPE", help="raycluster, raycluster.scaling, 'raycluster.pods.*'"
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="a sample: one mutant in N")
    parser.add_argument("--processes", type=int, default=1, metavar="N")
    parser.add_argument("--first-line", action="store_true", help="only tests/controllers, not the recordings")
    parser.add_argument("--report", action="store_true", help="run nothing, tell what is known")
    parser.add_argument("--show", action="store_true", help="the changes that went unnoticed")
    given = parser.parse_args(arguments)
    lines = [Line(name, tests, _folder() / name) for name, tests in LINES.items()]
    lines = lines[:1] if given.first_line else lines
    try:
        if not given.report:
            _run(lines, given.scopes, given.every, given.processes)
    except KeyboardInterrupt:
        print("broken off; the next run goes on from here", file=sys.stderr)
        return 130
    except subprocess.CalledProcessError as failed:
        print(f"mutmut failed (exit code {failed.returncode}) in {lines[0].folder.parent}", file=sys.stderr)
        return 1
    _report(lines, given.scopes, show=given.show)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
