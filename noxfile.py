"""The one list of commands: `nox` runs the quick ones, `nox -s NAME` any of them; arguments after `--` are passed on."""

from itertools import takewhile
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "imports", "tests"]
nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True

HERE = Path(__file__).parent
BENCHMARKS = sorted(path.stem for path in HERE.glob("benchmarks/*.py"))


@nox.session
def lint(session: nox.Session) -> None:
    """Style and format."""
    session.install("-e", ".[dev]")
    session.run("ruff", "check", *session.posargs, ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Strict types over all packages (`tool.mypy` names them)."""
    session.install("-e", ".[dev]")
    session.run("mypy", *session.posargs)


@nox.session
def imports(session: nox.Session) -> None:
    """The import arrows of the design."""
    session.install("-e", ".[dev]")
    session.run("lint-imports", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """The test suite, in random order and in parallel."""
    session.install("-e", ".[test]")
    session.run("pytest", "-n", "auto", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Every benchmark, each printing a table; `nox -s bench -- main_job --runs 3` runs one, with its options."""
    given = list(session.posargs)
    names = list(takewhile(lambda word: not word.startswith("-"), given))
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        session.error(f"no such benchmark: {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}")
    session.install("-e", ".[test]")
    for name in names or BENCHMARKS:
        session.run("python", f"benchmarks/{name}.py", *given[len(names) :])


@nox.session
def generated(session: nox.Session) -> None:
    """schemathesis: what the fake Kubernetes answers against its published OpenAPI documents."""
    session.install("-e", ".[test,generated]")
    session.run("pytest", "-n", "auto", "tests/generated", *session.posargs)


@nox.session
def real_ray(session: nox.Session) -> None:
    """The model against a real Ray, all stories, and scenarios on it; ten minutes, as root or where users may make namespaces."""
    session.install("-e", ".[test,ray]")
    session.run("pytest", "-m", "ray", "tests/real_ray", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Ten minutes of odd requests to the fake Kubernetes; `nox -s fuzz -- --minutes 1 --seed 7` for others."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "tests.fuzz.kubernetes_http", *session.posargs)


@nox.session
def mutation(session: nox.Session) -> None:
    """What the tests of the controllers do not notice; `nox -s mutation -- raycluster.scaling --show` for a part."""
    session.install("-e", ".[mutation]")
    session.run("nice", "python", "-m", "tests.mutation", *session.posargs, external=True)


@nox.session(reuse_venv=False)
def package(session: nox.Session) -> None:
    """Build the wheel, install it in a clean environment beside folders that carry our outer names, run the main job."""
    wheels = Path(session.create_tmp()) / "wheels"
    session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), ".")
    wheel = max(wheels.glob("rayrig-*.whl"), key=lambda path: path.stat().st_mtime)
    session.install(str(wheel))
    elsewhere = Path(session.create_tmp()) / "elsewhere"
    for name in ("core", "controllers", "sim", "fakes", "backends", "scenarios", "tests"):
        (elsewhere / name).mkdir(parents=True, exist_ok=True)
        (elsewhere / name / "__init__.py").touch()
    session.chdir(elsewhere)
    session.run("rayrig", "run", "zero-downtime-upgrade", silent=True)
