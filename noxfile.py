"""The one list of commands: `nox` runs the quick ones, `nox -s NAME` any of them; arguments after `--` are passed on."""

import nox

nox.options.sessions = ["lint", "types", "imports", "tests"]
nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True

PACKAGES = (
    "rayrig",
    "rayrig_core",
    "rayrig_controllers",
    "rayrig_sim",
    "rayrig_fakes",
    "rayrig_backends",
    "rayrig_scenarios",
)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and format."""
    session.install("ruff>=0.5")
    session.run("ruff", "check", *session.posargs, ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Strict types over all packages."""
    session.install("-e", ".[dev]")
    session.run("mypy", *(word for package in PACKAGES for word in ("-p", package)), *session.posargs)


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
    """Every benchmark, each printing a table; `nox -s bench -- main_job` runs one."""
    session.install("-e", ".[bench]")
    names = session.posargs or sorted(path.stem for path in nox.options.noxfile.parent.glob("benchmarks/*.py"))
    for name in names:
        session.run("python", f"benchmarks/{name}.py")


@nox.session
def package(session: nox.Session) -> None:
    """Build the wheel, install it in a clean environment beside folders that carry our outer names, run the main job."""
    session.install("build")
    session.run("python", "-m", "build", "--wheel", "--outdir", session.create_tmp())
    session.install("--find-links", session.create_tmp(), "--no-index", "--no-deps", "rayrig")
    session.install("simpy", "pydantic", "pyyaml", "rich", "typer")
    session.chdir(session.create_tmp())
    session.run("rayrig", "run", "zero-downtime-upgrade")
