"""Options of the in-tree autoscaler, from messages and back (`kuberay-apiserver.md` 6.7, 7.2)."""

from __future__ import annotations

from rayrig.apiserver.clusters.environment import CONFIGMAP, SECRET, value_of
from rayrig.apiserver.clusters.unconvertible import Unconvertible
from rayrig.apiserver.clusters.volumes import mounted_of, mounts_of
from rayrig.apiserver.quantities import quantity
from rayrig_core.objects import JsonObject
from rayrig_core.resources.quantities import canonical

_DEFAULT_CPU = "500m"
_DEFAULT_MEMORY = "512Mi"
_TEXTS = ("upscalingMode", "image")
#: Which whole objects variables may come from; a single key can't be told.
_ENV_FROM = {CONFIGMAP: "configMapRef", SECRET: "secretRef"}


def autoscaler_options_of(options: JsonObject) -> JsonObject:
    """`spec.autoscalerOptions`. Raises `Unconvertible`."""
    made: JsonObject = {field: options[field] for field in _TEXTS if options.get(field)}
    if options.get("idleTimeoutSeconds", 0) > 0:
        made["idleTimeoutSeconds"] = options["idleTimeoutSeconds"]
    if options.get("imagePullPolicy", "").lower() == "always":
        made["imagePullPolicy"] = "Always"
    envs = options.get("envs", {})
    if values := envs.get("values"):
        made["env"] = [value_of(name, value) for name, value in values.items()]
    made |= _env_from(envs)
    if volumes := options.get("volumes"):
        made["volumeMounts"] = mounts_of(volumes)
    if options.get("cpu") or options.get("memory"):
        amounts = {
            "cpu": _amount(options.get("cpu") or _DEFAULT_CPU, "cpu"),
            "memory": _amount(options.get("memory") or _DEFAULT_MEMORY, "memory"),
        }
        made["resources"] = {"limits": amounts, "requests": amounts}
    return made


def _env_from(envs: JsonObject) -> JsonObject:
    sources = (
        (_ENV_FROM.get(each.get("source", CONFIGMAP)), each.get("name", ""))
        for each in envs.get("valuesFrom", {}).values()
    )
    entries = [{field: {"name": name} if name else {}} for field, name in sources if field]
    return {"envFrom": entries} if entries else {}


def _amount(text: str, which: str) -> str:
    try:
        return quantity(text)
    except ValueError:
        raise Unconvertible(f"{which} for autoscaler is not specified correctly") from None


def options_of(autoscaler: JsonObject) -> JsonObject:
    """The message. Whole objects that variables come from are numbered."""
    told: JsonObject = {
        field: autoscaler[field]
        for field in (*_TEXTS, "idleTimeoutSeconds", "imagePullPolicy")
        if autoscaler.get(field) is not None
    }
    env, env_from = autoscaler.get("env") or (), autoscaler.get("envFrom") or ()
    if env or env_from:
        told["envs"] = {
            "values": {variable["name"]: variable.get("value", "") for variable in env},
            "valuesFrom": {str(index): _source(entry) for index, entry in enumerate(env_from)},
        }
    told["volumes"] = mounted_of(autoscaler.get("volumeMounts") or ())
    if (resources := autoscaler.get("resources")) is not None:
        amounts = resources.get("limits") or resources.get("requests") or {}
        told |= {name: canonical(amounts.get(name, 0)) for name in ("cpu", "memory")}
    return told


def _source(entry: JsonObject) -> JsonObject:
    source = CONFIGMAP if entry.get("configMapRef") is not None else SECRET
    return {"source": source, "name": (entry.get(_ENV_FROM[source]) or {}).get("name", "")}
