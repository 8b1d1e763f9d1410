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
    str,
    typer.Argument(
        help="A bundled scenario (see `rayrig list`), a scenario file, or a manifest: of a RayService, a RayCluster or workloads."
    ),
]

Script = Annotated[
    Path | None, typer.Option(metavar="FILE", help="What containers answer and do (docs/scripted-containers.md).")
]

KubeRay = Annotated[str, typer.Option(metavar="1.7|1.1", help="Whose operator, whatever the scenario says.")]

# Where a command has a real Ray.
RayPython = Annotated[
    Path | None, typer.Option(metavar="PYTHON", help="The interpreter that has Ray installed; this one when left out.")
]
RealAppDir = Annotated[Path | None, typer.Option(metavar="DIR", help="Where import paths begin.")]

# Which API server a command works at, and as whom (`reach.Reach`).
Kubeconfig = Annotated[Path | None, typer.Option(metavar="FILE", help="Instead of --server.")]
KubeContext = Annotated[str, typer.Option(help="Of the kubeconfig; its current one when left out.")]
Token = Annotated[str, typer.Option(help="Bearer token for --server.", envvar="RAYRIG_TOKEN")]
CertificateAuthority = Annotated[Path | None, typer.Option(metavar="FILE", help="For --server by https.")]
SkipTlsVerify = Annotated[bool, typer.Option("--insecure-skip-tls-verify", help="Trust whoever answers.")]


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
    kuberay: KubeRay = "",
    feature_gates: Annotated[str, typer.Option(help="The operator's, as Name=true,Other=false.")] = "",
    script: Script = None,
    real_ray: Annotated[
        bool, typer.Option("--real-ray", help="Each RayCluster is a Ray that is started here, on the clock.")
    ] = False,
    app_dir: RealAppDir = None,
    ray_python: RayPython = None,
) -> int:
    """Run a scenario. Exit code 0: held; 1: broken; 2: could not run.

    --app-dir and --ray-python are for --real-ray.
    """
    from rayrig.cli.run import run_command

    if real_ray:
        from rayrig.cli.ray import real_ray_settings

    return run_command(
        target,
        seed=seed,
        as_json=json,
        show_progress=progress,
        trace_file=trace,
        feature_gates=feature_gates,
        kuberay=kuberay,
        script=script,
        real_ray=real_ray_settings(ray_python, app_dir=app_dir) if real_ray else None,
    )


@app.command()
def why(
    pod: Annotated[
        str,
        typer.Argument(
            help="Its name, or as much of it as only one pod has. Left out: each pod that is not ready, in short."
        ),
    ] = "",
    scenario: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="The run to ask, which is repeated; the last run when left out.")
    ] = "",
    at: Annotated[
        str, typer.Option(metavar="TIME", help="Virtual time, as 95s; the end of the run when left out.")
    ] = "",
    seed: Annotated[int | None, typer.Option(help="Of the run; the scenario's own when left out.", min=0)] = None,
    kuberay: KubeRay = "",
    feature_gates: Annotated[str, typer.Option(help="The operator's, as they were in the run.")] = "",
    script: Script = None,
    server: Annotated[str, typer.Option(metavar="URL", help="Instead of a run: a cluster's API server.")] = "",
    kubeconfig: Kubeconfig = None,
    context: KubeContext = "",
    token: Token = "",
    certificate_authority: CertificateAuthority = None,
    insecure_skip_tls_verify: SkipTlsVerify = False,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Of the pod; default on a cluster.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print the chain as JSON.")] = False,
) -> int:
    """Say why a pod is not ready, or was not at some time of a run: from the verdict down to the cause, with each probe.

    Exit code 0: the pod is ready; 1: it is not; 2: it cannot be told.
    """
    from rayrig.cli.reach import Reach
    from rayrig.cli.why import RunOptions, why_command

    return why_command(
        pod,
        RunOptions(scenario, seed, feature_gates, at, script, kuberay),
        Reach(server, kubeconfig, context, token, certificate_authority, insecure_skip_tls_verify),
        namespace,
        as_json=json,
    )


@app.command()
def verify(
    targets: Annotated[
        list[str] | None,
        typer.Argument(help="Scenarios or manifests; the bundled scenarios outside groups when left out."),
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


@app.command()
def up(
    target: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO|MANIFEST", help="Whose nodes, applications and objects are there from the start."
        ),
    ] = "",
    port: Annotated[
        int, typer.Option(help="Of Kubernetes, on the loopback interface; any free one when 0.", min=0, max=65_535)
    ] = 8001,
    apiserver_port: Annotated[
        int, typer.Option(help="Of KubeRay's API server; any free one when 0.", min=0, max=65_535)
    ] = 8888,
    kubeconfig: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a kubeconfig to this file.")] = None,
    nodes: Annotated[
        list[str] | None,
        typer.Option(metavar="[N]xRESOURCES", help="Such as 3xcpu=8,memory=32Gi,nvidia.com/gpu=1; repeatable."),
    ] = None,
    speed: Annotated[float, typer.Option(metavar="X", help="Virtual seconds a second.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Of the world; the scenario's own when left out.", min=0)] = None,
    kuberay: KubeRay = "",
    feature_gates: Annotated[str, typer.Option(metavar="NAME=BOOL,...", help="The operator's.")] = "",
) -> int:
    """Serve a modelled world until interrupted: Kubernetes for kubectl, nodes, the operator, Ray and Serve, KubeRay's API server.

    Prints `ready URL` for each of the two servers when they answer.
    """
    from rayrig.cli.up import up_command

    return up_command(
        target,
        port=port,
        apiserver_port=apiserver_port,
        kubeconfig_file=kubeconfig,
        node_texts=nodes or (),
        speed=speed,
        seed=seed,
        kuberay=kuberay,
        feature_gates=feature_gates,
    )


@app.command(name="kube-diff")
def kube_diff(
    left: Annotated[str, typer.Argument(metavar="URL1", help="Base URL of an API server.")],
    right: Annotated[str, typer.Argument(metavar="URL2", help="Base URL of the other.")],
    seed: Annotated[int, typer.Option(help="Where the requests come from.", min=0)] = 0,
    count: Annotated[int, typer.Option(help="How many requests, about.", min=1)] = 1000,
    area: Annotated[list[str] | None, typer.Option(help="Only requests of this area; may be repeated.")] = None,
    token: Annotated[str, typer.Option(help="Bearer token of an administrator of both.")] = "",
    left_token: Annotated[str, typer.Option(help="Of an administrator of URL1.")] = "",
    right_token: Annotated[str, typer.Option(help="Of an administrator of URL2.")] = "",
    reader_token: Annotated[
        str, typer.Option(help="Token of a user without rights on both, for requests that are forbidden.")
    ] = "",
    ca: Annotated[Path | None, typer.Option(help="Certificate authority of https URLs.")] = None,
    left_ca: Annotated[Path | None, typer.Option(help="Of URL1.")] = None,
    right_ca: Annotated[Path | None, typer.Option(help="Of URL2.")] = None,
    insecure_skip_tls_verify: Annotated[bool, typer.Option(help="Do not check certificates.")] = False,
    known: Annotated[Path | None, typer.Option(help="TOML file of differences that have a reason.")] = None,
    stories: Annotated[
        Path | None, typer.Option(help="Tell the shortest stories of this report again, nothing else.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a report as JSON to this file.")] = None,
    shrink: Annotated[bool, typer.Option(help="Look for the shortest story that shows a difference.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> int:
    """Send the same generated requests to two API servers and explain each difference (docs/differential.md).

    Exit code 0: none without a reason; 1: some; 2: could not run.
    """
    from rayrig.cli.kube_diff import DiffOptions, kube_diff_command
    from rayrig_backends.differential.sides import Access

    sides = (
        Access(left.rstrip("/"), left_token or token, reader_token, left_ca or ca, insecure_skip_tls_verify),
        Access(right.rstrip("/"), right_token or token, reader_token, right_ca or ca, insecure_skip_tls_verify),
    )
    options = DiffOptions(seed, count, area or (), known, stories, report, shrink, json)
    return kube_diff_command(*sides, options)


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Manifests with RayServices or RayClusters.")],
    node: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[N]xCPU...",
            help="Nodes they must fit on, such as 2xcpu=8,memory=32Gi,nvidia.com/gpu=1; repeatable.",
        ),
    ] = None,
    feature_gates: Annotated[str, typer.Option(metavar="NAME=BOOL,...", help="The operator's.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> int:
    """Say what the API server, the operator and Serve would refuse in a manifest, each with line, field and remedy.

    Exit code 0: nothing; 1: errors found; 2: a file cannot be read.
    """
    from rayrig.cli.validate import validate_command

    return validate_command(files, node_texts=node or [], feature_gates=feature_gates, as_json=json)


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The manifest that runs.")],
    new: Annotated[Path, typer.Argument(help="The manifest that would be applied.")],
    feature_gates: Annotated[str, typer.Option(metavar="NAME=BOOL,...", help="The operator's.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> int:
    """Say what the operator would do with a changed manifest (nothing, in place, an upgrade), field by field, and why."""
    from rayrig.cli.diff import diff_command

    return diff_command(old, new, feature_gates=feature_gates, as_json=json)


@app.command()
def operator(
    server: Annotated[str, typer.Option(metavar="URL", help="API server to work at.")] = "",
    kubeconfig: Kubeconfig = None,
    context: KubeContext = "",
    token: Token = "",
    certificate_authority: CertificateAuthority = None,
    insecure_skip_tls_verify: SkipTlsVerify = False,
    use_kubernetes_proxy: Annotated[
        bool, typer.Option("--use-kubernetes-proxy", help="Reach dashboards and pods through the API server.")
    ] = False,
    kuberay: Annotated[str, typer.Option(metavar="1.7|1.1", help="Whose behaviour.")] = "1.7",
    watch_namespace: Annotated[str, typer.Option(metavar="NAMESPACE", help="Only this one; all when left out.")] = "",
    feature_gates: Annotated[str, typer.Option(metavar="NAME=BOOL,...", help="As KubeRay's operator has them.")] = "",
    reconcile_concurrency: Annotated[int, typer.Option(help="Workers per controller.", min=1)] = 1,
    leader_election: Annotated[
        bool, typer.Option("--enable-leader-election/--no-leader-election", help="Wait for the Lease before working.")
    ] = True,
    leader_election_namespace: Annotated[str, typer.Option(metavar="NAMESPACE", help="Of the Lease.")] = "default",
    install_crds: Annotated[
        bool,
        typer.Option("--install-crds", help="Create the definitions of RayService, RayCluster and RayJob if missing."),
    ] = False,
    port: Annotated[
        int,
        typer.Option(help="Of /healthz, /readyz and /metrics on the loopback interface; any free one when 0.", min=0),
    ] = 0,
) -> int:
    """Run the KubeRay controllers against an API server until interrupted. Prints `ready URL` when they work.

    The operator's environment variables count, such as ENABLE_ZERO_DOWNTIME and CLUSTER_DOMAIN.
    """
    from rayrig.cli.operator import operator_command
    from rayrig.cli.reach import Reach

    return operator_command(
        Reach(server, kubeconfig, context, token, certificate_authority, insecure_skip_tls_verify),
        port=port,
        install_definitions=install_crds,
        profile=kuberay,
        feature_gates=feature_gates,
        use_kubernetes_proxy=use_kubernetes_proxy,
        watch_namespace=watch_namespace,
        reconcile_concurrency=reconcile_concurrency,
        leader_election=leader_election,
        leader_election_namespace=leader_election_namespace,
    )


@app.command()
def apiserver(
    server: Annotated[str, typer.Option(metavar="URL", help="Kubernetes API server to stand in front of.")] = "",
    kubeconfig: Kubeconfig = None,
    context: KubeContext = "",
    token: Token = "",
    certificate_authority: CertificateAuthority = None,
    insecure_skip_tls_verify: SkipTlsVerify = False,
    use_kubernetes_proxy: Annotated[
        bool, typer.Option("--use-kubernetes-proxy", help="Reach dashboards through the Kubernetes API server.")
    ] = False,
    port: Annotated[int, typer.Option(help="On the loopback interface; any free one when 0.", min=0)] = 8888,
    security_token: Annotated[
        str, typer.Option(help="What clients send as Authorization, word for word.", envvar="SECURITY_TOKEN")
    ] = "",
    cors_allow_origin: Annotated[str, typer.Option(metavar="ORIGIN", help="Whose pages may read answers.")] = "",
    serve_submission: Annotated[bool, typer.Option(help="The serveapplication calls, which no release has.")] = True,
    v2: Annotated[
        bool, typer.Option("--v2/--no-v2", help="Hand requests for Ray's resources on to Kubernetes.")
    ] = True,
    call_timeout: Annotated[float, typer.Option(metavar="SECONDS", help="How long a call of v1 may take.")] = 60.0,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell of each call that failed.")] = False,
) -> int:
    """Serve the KubeRay API server's REST calls until interrupted. Prints `ready URL` when they are answered."""
    from rayrig.cli.apiserver import apiserver_command
    from rayrig.cli.reach import Reach

    return apiserver_command(
        Reach(server, kubeconfig, context, token, certificate_authority, insecure_skip_tls_verify),
        port=port,
        use_kubernetes_proxy=use_kubernetes_proxy,
        security_token=security_token,
        cors_allow_origin=cors_allow_origin,
        serve_submission=serve_submission,
        v2=v2,
        call_timeout_s=call_timeout,
        verbose=verbose,
    )


@app.command()
def nodes(
    sizes: Annotated[
        list[str], typer.Argument(metavar="[N]xRESOURCES...", help="Such as 3xcpu=8,memory=32Gi,nvidia.com/gpu=1.")
    ],
    server: Annotated[str, typer.Option(metavar="URL", help="API server to join.")] = "",
    kubeconfig: Kubeconfig = None,
    context: KubeContext = "",
    token: Token = "",
    certificate_authority: CertificateAuthority = None,
    insecure_skip_tls_verify: SkipTlsVerify = False,
    script: Script = None,
    name: Annotated[str, typer.Option(help="What the nodes' names begin with.")] = "node",
    seed: Annotated[int, typer.Option(help="From which jitter is drawn.", min=0)] = 0,
) -> int:
    """Hollow nodes: Node objects and kubelets for an API server, until interrupted. Their containers play scripts or do nothing."""
    from rayrig.cli.nodes import nodes_command
    from rayrig.cli.reach import Reach

    reach = Reach(server, kubeconfig, context, token, certificate_authority, insecure_skip_tls_verify)
    return nodes_command(reach, sizes, name=name, seed=seed, script=script)


@app.command(name="control-plane")
def control_plane(
    server: Annotated[str, typer.Option(metavar="URL", help="API server to work at.")] = "",
    kubeconfig: Kubeconfig = None,
    context: KubeContext = "",
    token: Token = "",
    certificate_authority: CertificateAuthority = None,
    insecure_skip_tls_verify: SkipTlsVerify = False,
    controllers: Annotated[
        str, typer.Option(metavar="LIST", help="As kube-controller-manager takes them: *, NAME, -NAME, by commas.")
    ] = "*",
    scheduler: Annotated[bool, typer.Option(help="Give pods their nodes.")] = True,
    seed: Annotated[int, typer.Option(help="From which jitter is drawn.", min=0)] = 0,
) -> int:
    """Scheduler and controllers (Deployments, endpoints, node lifecycle, garbage ...) for an API server that runs alone."""
    from rayrig.cli.control_plane import control_plane_command
    from rayrig.cli.reach import Reach

    reach = Reach(server, kubeconfig, context, token, certificate_authority, insecure_skip_tls_verify)
    return control_plane_command(reach, controllers=controllers, scheduler=scheduler, seed=seed)


@app.command()
def dashboard(
    port: Annotated[int, typer.Option(help="Of the dashboard, on the loopback interface.", min=1)] = 8265,
    proxy_port: Annotated[
        int, typer.Option(help="Of Serve's proxy on the head; workers have the next ones.", min=1)
    ] = 8000,
    agent_port: Annotated[
        int, typer.Option(help="Of the agent on the head; workers have the next ones.", min=1)
    ] = 52365,
    app_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where import paths begin; code there runs as it is.")
    ] = None,
    nodes: Annotated[int, typer.Option(help="Machines, the head among them.", min=1)] = 1,
    head_cpus: Annotated[float | None, typer.Option(metavar="N", help="4; 0 when there are workers.", min=0)] = None,
    worker_cpus: Annotated[float, typer.Option(metavar="N", help="Of each worker.", min=0)] = 2,
    speed: Annotated[float, typer.Option(metavar="X", help="Virtual seconds a second.")] = 1.0,
    token: Annotated[str, typer.Option(help="The dashboard wants to be shown it.", envvar="RAY_AUTH_TOKEN")] = "",
    seed: Annotated[int, typer.Option(help="From which durations are drawn.", min=0)] = 0,
) -> int:
    """A modelled Ray cluster with Serve: the dashboard's REST API and a data plane that answers, until interrupted.

    Prints `ready URL` when the dashboard answers. `POST URL/rayrig/nodes/worker1/kill` (or stop, start) does that to a machine.
    """
    from rayrig.cli.dashboard import dashboard_command

    return dashboard_command(
        port=port,
        proxy_port=proxy_port,
        agent_port=agent_port,
        app_dir=app_dir,
        nodes=nodes,
        head_cpus=head_cpus,
        worker_cpus=worker_cpus,
        speed=speed,
        token=token,
        seed=seed,
    )


@app.command()
def ray(
    port: Annotated[int, typer.Option(help="Of the dashboard, on the loopback interface.", min=0)] = 8265,
    proxy_port: Annotated[int, typer.Option(help="Of Serve's proxy.", min=0)] = 8000,
    agent_port: Annotated[int, typer.Option(help="Of the node's agent.", min=0)] = 52365,
    app_dir: RealAppDir = None,
    num_cpus: Annotated[float, typer.Option(metavar="N", help="What Ray takes the machine to have.", min=0)] = 4,
    redis: Annotated[bool, typer.Option("--redis", help="The GCS keeps its tables in a Redis of its own.")] = False,
    python: RayPython = None,
) -> int:
    """A real Ray, shut in: in namespaces of its own, reached through the loopback interface, gone without trace when interrupted.

    Prints `ready URL` when the dashboard answers. A port of 0 is any free one.
    """
    from rayrig.cli.ray import ray_command

    return ray_command(
        python=python,
        port=port,
        proxy_port=proxy_port,
        agent_port=agent_port,
        app_dir=app_dir,
        num_cpus=num_cpus,
        redis=redis,
    )


@app.command(name="dashboard-diff")
def dashboard_diff(
    left: Annotated[str, typer.Argument(metavar="URL1", help="Base URL of a Ray dashboard.")],
    right: Annotated[str, typer.Argument(metavar="URL2", help="Base URL of the other.")],
    stories: Annotated[Path, typer.Option(metavar="FILE|DIR", help="What is sent, as JSON (docs/real-ray.md).")],
    left_proxy: Annotated[str, typer.Option(metavar="URL", help="Serve's proxy at URL1.")] = "http://127.0.0.1:8000",
    right_proxy: Annotated[str, typer.Option(metavar="URL", help="Serve's proxy at URL2.")] = "http://127.0.0.1:8001",
    known: Annotated[Path | None, typer.Option(help="TOML file of differences that have a reason.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a report as JSON to this file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> int:
    """Send the same documents to two Ray dashboards and explain each difference. What ran on them before is gone afterwards.

    Exit code 0: none without a reason; 1: some; 2: could not run.
    """
    from rayrig.cli.dashboard_diff import DashboardDiffOptions, dashboard_diff_command

    one, other = ((url.rstrip("/"), proxy.rstrip("/")) for url, proxy in ((left, left_proxy), (right, right_proxy)))
    return dashboard_diff_command(one, other, DashboardDiffOptions(stories, known, report, json))


@app.command(name="list")
def list_(
    json: Annotated[bool, typer.Option("--json", help="Print names and descriptions as JSON.")] = False,
) -> None:
    """List the bundled scenarios."""
    from rayrig.cli.library import list_command

    list_command(as_json=json)
