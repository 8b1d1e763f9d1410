"""`rayrig kube`: a fake Kubernetes that kubectl and client libraries can connect to."""

from __future__ import annotations

import argparse
import gc
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rayrig_core.errors import InputError

if TYPE_CHECKING:
    from rayrig_core.objects import JsonObject


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(message, remedy="see `rayrig kube --help`")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="rayrig kube",
        description="Serve a fake Kubernetes for kubectl and client libraries, on the loopback interface, until interrupted. "
        "Prints `ready URL` when it answers requests.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--port", type=_port, default=0, metavar="N", help="port to listen on; any free one when left out")
    add("--tls", action="store_true", help="serve https; the certificate authority is in the kubeconfig")
    add("--token-file", type=Path, metavar="FILE", help='static tokens, lines of token,user,uid,"group1,group2"')
    add(
        "--authorization",
        choices=("AlwaysAllow", "RBAC"),
        default="AlwaysAllow",
        help="whether everyone may do everything, or what roles and bindings say",
    )
    add(
        "--audit-log",
        type=Path,
        metavar="FILE",
        help="append a line of JSON (audit.k8s.io/v1, level Metadata) for each request",
    )
    add("--kubeconfig", type=Path, metavar="OUT", help="write a kubeconfig to this file")
    add(
        "--crd",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="CustomResourceDefinitions to begin with: files, or folders of files",
    )
    add(
        "--controllers",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="run the built-in controllers and the scheduler (default)",
    )
    add(
        "--scheduler",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="run the scheduler, unless another one is to bind the pods (default)",
    )
    add(
        "--node-lifecycle",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="taint nodes that send no heartbeat, and end their pods (default)",
    )
    add(
        "--service-accounts",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="make a ServiceAccount `default` in each namespace; without, a new namespace is empty (default)",
    )
    add("--seed", type=int, default=0, metavar="N", help="where uids, suffixes and addresses come from (default 0)")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


def kube_command(arguments: Sequence[str]) -> int:
    """Serves until SIGINT or SIGTERM. The exit code. Raises `InputError`."""
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as help_was_printed:
        return int(help_was_printed.code or 0)
    # What is made while starting stays: looking through it for garbage took a tenth of the time until ready.
    gc.disable()
    from rayrig_backends.served_kubernetes import KubernetesOptions, ServedKubernetes
    from rayrig_fakes.kubernetes.http.serving import event_loop
    from rayrig_fakes.kubernetes.kubeconfig import write_kubeconfig
    from rayrig_fakes.kubernetes.tokens import read_token_file

    if options.token_file is not None and not options.tls:
        print(
            "rayrig kube: warning: kubectl and client-go send no tokens over plain HTTP; add --tls for them",
            file=sys.stderr,
        )
    served = ServedKubernetes(
        KubernetesOptions(
            port=options.port,
            tls=options.tls,
            users=read_token_file(options.token_file) if options.token_file is not None else {},
            authorization=options.authorization,
            audit_log=options.audit_log,
            definitions=[definition for path in options.crd for definition in definitions_in(path)],
            controllers=options.controllers,
            scheduler=options.scheduler,
            node_lifecycle=options.node_lifecycle,
            service_accounts=options.service_accounts,
            seed=options.seed,
        )
    )
    if options.kubeconfig is not None:
        write_kubeconfig(options.kubeconfig, served.kubeconfig())
    loop = event_loop()

    def ready() -> None:
        print(f"ready {served.url}", flush=True)
        gc.freeze()
        gc.enable()
        # Objects in the store are many, long-lived and free of cycles.
        gc.set_threshold(20_000, 20, 50)

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, served.stop)
        loop.run_until_complete(served.run(ready))
    finally:
        gc.enable()
        loop.close()
    return 0


def definitions_in(path: Path) -> list[JsonObject]:
    """CustomResourceDefinitions of a YAML or JSON file, or of all such files in a folder. Raises `InputError`."""
    import yaml

    if path.is_dir():
        files = sorted(each for each in path.iterdir() if each.suffix in (".yaml", ".yml", ".json"))
        return [definition for file in files for definition in definitions_in(file)]
    try:
        documents = list(
            yaml.load_all(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        )
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", where=str(path)) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"not YAML: {' '.join(str(error).split())}", where=str(path)) from None
    found: list[JsonObject] = []
    for document in documents:
        if document is None:
            continue
        items = document if isinstance(document, list) else [document]
        if isinstance(document, dict) and str(document.get("kind", "")).endswith("List"):
            items = document.get("items") or []
        for item in items:
            kind = item.get("kind") if isinstance(item, dict) else type(item).__name__
            if kind != "CustomResourceDefinition":
                raise InputError(
                    f"holds a {kind}, not a CustomResourceDefinition",
                    where=str(path),
                    remedy="give definitions to --crd and create everything else with kubectl",
                )
            found.append(item)
    return found
