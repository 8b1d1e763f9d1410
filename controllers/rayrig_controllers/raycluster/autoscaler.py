"""The in-tree autoscaler: its container in the head pod and what it may do (kuberay-operator 3.9, 3.16)."""

from __future__ import annotations

from rayrig_controllers.raycluster import auth, ray_start, tls
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_controllers.raycluster.pod_template import add_empty_dir, field_env
from rayrig_core.objects import JsonObject, copy_json
from rayrig_core.resource_types import POD, RAY_CLUSTER, ROLE, ROLE_BINDING, SERVICE_ACCOUNT
from rayrig_core.resources import labels, names
from rayrig_core.resources.quantities import canonical

CONTAINER_NAME = "autoscaler"
LOGS_VOLUME, LOGS_PATH = "ray-logs", "/tmp/ray"
COMMAND = "ray kuberay-autoscaler --cluster-name $(RAY_CLUSTER_NAME) --cluster-namespace $(RAY_CLUSTER_NAMESPACE)"
_RESOURCES = {"cpu": "500m", "memory": "512Mi"}


def account_name(cluster: Cluster) -> str:
    """ServiceAccount of the head pod: the user's, or one named after the cluster."""
    return names.keep_last_50(given_account(cluster) or cluster.name)


def given_account(cluster: Cluster) -> str:
    """serviceAccountName of the head template, or empty."""
    return str(((cluster.head.get("template") or {}).get("spec") or {}).get("serviceAccountName") or "")


def version_env(cluster: Cluster) -> list[JsonObject]:
    """Tells Ray which autoscaler it has; nothing when the spec doesn't say."""
    version = cluster.autoscaler_version
    if not version:
        return []
    return [{"name": labels.AUTOSCALER_V2_ENV, "value": "true" if version == "v2" else "false"}]


def container(cluster: Cluster, image: str) -> JsonObject:
    """The sidecar, with the user's `autoscalerOptions` applied: env, envFrom and mounts are appended, the rest replaces."""
    options = copy_json(cluster.spec.get("autoscalerOptions") or {})
    resources = options.get("resources")
    command, args = ["ray"], COMMAND.split()[1:]
    generated: list[JsonObject] = []
    if cluster.options.release.autoscaler_runs_in_shell:
        command, args = ray_start.shell(cluster), [COMMAND]
        generated = [{"name": "KUBERAY_GEN_AUTOSCALER_START_CMD", "value": COMMAND}]
    sidecar: JsonObject = {
        "name": CONTAINER_NAME,
        "image": options.get("image") or image,
        "imagePullPolicy": options.get("imagePullPolicy") or "IfNotPresent",
        "env": [
            field_env("RAY_CLUSTER_NAME", f"metadata.labels['{labels.CLUSTER}']"),
            field_env("RAY_CLUSTER_NAMESPACE", "metadata.namespace"),
            field_env("RAY_HEAD_POD_NAME", "metadata.name"),
            {"name": "KUBERAY_CRD_VER", "value": RAY_CLUSTER.version},
            *generated,
            *auth.environment(cluster),
        ],
        "command": options.get("command") or command,
        "args": options.get("args") or args,
        "resources": {"limits": dict(_RESOURCES), "requests": dict(_RESOURCES)},
    }
    if tls.is_enabled(cluster):
        tls.equip(sidecar)
    sidecar["env"] += options.get("env") or ()
    if resources is not None:
        sidecar["resources"] = {
            kind: {key: canonical(value) for key, value in values.items()} if isinstance(values, dict) else values
            for kind, values in resources.items()
        }
    if options.get("envFrom"):
        sidecar["envFrom"] = options["envFrom"]
    if options.get("volumeMounts"):
        sidecar["volumeMounts"] = [*(sidecar.get("volumeMounts") or ()), *options["volumeMounts"]]
    if options.get("securityContext") is not None:
        sidecar["securityContext"] = options["securityContext"]
    return sidecar


def share_logs(spec: JsonObject, ray: JsonObject, sidecar: JsonObject) -> None:
    """Ray and the autoscaler write into one log folder."""
    add_empty_dir(spec, ray, LOGS_VOLUME, LOGS_PATH, {})
    add_empty_dir(spec, sidecar, LOGS_VOLUME, LOGS_PATH, {})


# What the autoscaler may do


def _labels(cluster: Cluster) -> dict[str, str]:
    return {
        labels.CLUSTER: cluster.name,
        labels.APP_NAME: labels.KUBERAY,
        labels.CREATED_BY: labels.KUBERAY_OPERATOR,
    }


def service_account(cluster: Cluster) -> JsonObject:
    return {
        "apiVersion": SERVICE_ACCOUNT.api_version,
        "kind": SERVICE_ACCOUNT.kind,
        "metadata": cluster.child_metadata(account_name(cluster), _labels(cluster)),
    }


def role(cluster: Cluster) -> JsonObject:
    """Reads and patches pods, resizes them, and edits its RayCluster."""
    rules = [{"apiGroups": [POD.group], "resources": [POD.plural], "verbs": ["get", "list", "watch", "patch"]}]
    if cluster.options.release.autoscaler_resizes_pods:
        rules.append({"apiGroups": [POD.group], "resources": [f"{POD.plural}/resize"], "verbs": ["patch"]})
    rules.append({"apiGroups": [RAY_CLUSTER.group], "resources": [RAY_CLUSTER.plural], "verbs": ["get", "patch"]})
    return {
        "apiVersion": ROLE.api_version,
        "kind": ROLE.kind,
        "metadata": cluster.child_metadata(names.keep_last_50(cluster.name), _labels(cluster)),
        "rules": rules,
    }


def role_binding(cluster: Cluster) -> JsonObject:
    name = names.keep_last_50(cluster.name)
    subject = {"kind": SERVICE_ACCOUNT.kind, "name": account_name(cluster), "namespace": cluster.namespace}
    return {
        "apiVersion": ROLE_BINDING.api_version,
        "kind": ROLE_BINDING.kind,
        "metadata": cluster.child_metadata(name, _labels(cluster)),
        "subjects": [subject],
        "roleRef": {"apiGroup": ROLE.group, "kind": ROLE.kind, "name": name},
    }
