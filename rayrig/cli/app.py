"""The commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rayrig import __version__

app = typer.Typer(
    name="rayrig",
    help="Test Ray Serve on Kubernetes in milliseconds: simulated upgrades, probes and failures of RayService.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)

#: What typer raises for arguments that cannot be used. Depending on its version that is click's or its own copy of click's;
#: `BadParameter` is the child it offers in every version.
UsageError: type[Exception] = typer.BadParameter.__bases__[0]

Target = Annotated[
    str, typer.Argument(help="A bundled scenario (see `rayrig list`), a scenario file, or a RayService manifest.")
]


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(f"rayrig {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def run(
    target: Target,
    seed: Annotated[int | None, typer.Option(help="Seed of the run; the scenario's own when left out.", min=0)] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    progress: Annotated[bool, typer.Option(help="Show the run as it goes on.")] = True,
    trace: Annotated[Path | None, typer.Option(help="Write every event of the run to this file, a line each.")] = None,
) -> int:
    """Run a scenario. Exit code 0: held; 1: broken; 2: could not run."""
    from rayrig.cli.run import run_command

    return run_command(target, seed=seed, as_json=json, show_progress=progress, trace_file=trace)


@app.command()
def verify(
    targets: Annotated[
        list[str] | None, typer.Argument(help="Scenarios or manifests; all bundled scenarios when left out.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="How many seeds.", min=1)] = 1,
    first_seed: Annotated[int, typer.Option(help="The first of them.", min=0)] = 0,
    jobs: Annotated[int, typer.Option(help="Pairs of processes at a time.", min=1)] = 1,
    resume: Annotated[
        Path | None, typer.Option(help="Keep what is done in this file, and begin where it ends.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> int:
    """Check that a run depends on nothing but scenario and seed: each runs in two processes with different hash seeds.

    Exit code 0: all digests equal; 1: some differ, and the first diverging event is printed; 2: could not run.
    """
    from rayrig.cli.verify import verify_command

    return verify_command(targets or [], seeds=seeds, first_seed=first_seed, jobs=jobs, resume=resume, as_json=json)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def kube(context: typer.Context) -> int:
    """Serve a fake Kubernetes for kubectl and client libraries, until interrupted."""
    from rayrig.cli.kube import kube_command

    return kube_command(context.args)


@app.command(name="list")
def list_(
    json: Annotated[bool, typer.Option("--json", help="Print names and descriptions as JSON.")] = False,
) -> None:
    """List the bundled scenarios."""
    from rayrig.cli.library import list_command

    list_command(as_json=json)
