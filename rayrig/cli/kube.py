"""`rayrig kube`: a fake Kubernetes that kubectl and client libraries can connect to."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rayrig_core.objects import JsonObject


def kube_command(
    *,
    port: int,
    tls: bool,
    token_file: Path | None,
    authorization: Literal["AlwaysAllow", "RBAC"],
    kubeconfig: Path | None,
    crds: Sequence[Path],
    controllers: bool,
    seed: int,
) -> int:
    """Serves until SIGINT or SIGTERM. The exit code. Raises `InputError`."""
    from rayrig_backends.served_kubernetes import KubernetesOptions, ServedKubernetes
    from rayrig_fakes.kubernetes.http.serving import event_loop
    from rayrig_fakes.kubernetes.kubeconfig import write_kubeconfig
    from rayrig_fakes.kubernetes.tokens import read_token_file

    served = ServedKubernetes(
        KubernetesOptions(
            port=port,
            tls=tls,
            users=read_token_file(token_file) if token_file is not None else {},
            authorization=authorization,
            definitions=[definition for path in crds for definition in definitions_in(path)],
            controllers=controllers,
            seed=seed,
        )
    )
    if kubeconfig is not None:
        write_kubeconfig(kubeconfig, served.kubeconfig())
    loop = event_loop()
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, served.stop)
        loop.run_until_complete(served.run(lambda: print(f"ready {served.url}", flush=True)))
    finally:
        loop.close()
    return 0


def definitions_in(path: Path) -> list[JsonObject]:
    """CustomResourceDefinitions of a YAML or JSON file, or of all such files in a folder. Raises `InputError`."""
    import yaml

    from rayrig_core.errors import InputError

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
