"""Which pods play which script: rules that choose containers by image, name, labels, pod and namespace.

A pod's own script (the annotation) stands before any rule, container by container; of the rules the first that matches a
container gives its script. What a rule says of pulls holds for the image of the container it matched; what it says of the sandbox
for the pod.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from rayrig_core.objects import JsonObject, labels_of, name_of, namespace_of
from rayrig_sim.kubernetes.kubelet.container_scripts import Script
from rayrig_sim.kubernetes.kubelet.scripted_containers import annotated_script


@dataclass(frozen=True, slots=True)
class ScriptRule:
    """Containers and what they play. Empty selectors match everything; `image`, `container`, `pod` and `namespace` may hold
    `*`. `image` is matched against the whole reference, and against it without registry, without tag, and without both. Without
    `pulls`, pulls take no time.
    """

    image: str = ""
    container: str = ""
    pod: str = ""
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    script: Script = field(default_factory=dict)
    pulls: tuple[Script, ...] = ()
    sandbox: Script = field(default_factory=dict)

    def matches_pod(self, pod: JsonObject) -> bool:
        """As far as that depends on the pod alone."""
        if self.pod and not fnmatchcase(name_of(pod), self.pod):
            return False
        if self.namespace and not fnmatchcase(namespace_of(pod), self.namespace):
            return False
        has = labels_of(pod)
        return all(has.get(name) == value for name, value in self.labels.items())

    def matches_container(self, spec: JsonObject) -> bool:
        """A container, given by its entry in the pod's spec, of a pod that matches."""
        if self.container and not fnmatchcase(spec["name"], self.container):
            return False
        image = spec.get("image") or ""
        return not self.image or any(fnmatchcase(name, self.image) for name in names_of_image(image))


def names_of_image(image: str) -> tuple[str, ...]:
    """`r.io/shop/web:1@sha256:…` as it is, then without digest, without tag too, and both without registry and folders."""
    tagged = image.partition("@")[0]
    last = tagged.rpartition("/")[2]
    bare = last.partition(":")[0]
    return image, tagged, tagged[: len(tagged) - len(last)] + bare, last, bare


class ScriptRules:
    """Rules in order. Those that are added later hold for pods that start from then on."""

    def __init__(self, rules: Iterable[ScriptRule] = ()) -> None:
        self._rules = list(rules)

    def add(self, rule: ScriptRule) -> None:
        """Before all others: what was said last counts."""
        self._rules.insert(0, rule)

    def script_of(self, pod: JsonObject) -> Script:
        """The pod's script; empty when nobody gave it one. Raises `ValueError` for an annotation that is no script."""
        own = annotated_script(pod)
        rules = [rule for rule in self._rules if rule.matches_pod(pod)]
        if not rules:
            return own
        script: dict[str, Any] = {}
        images: dict[str, Any] = {}
        spec = pod["spec"]
        for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
            rule = next((rule for rule in rules if rule.matches_container(container)), None)
            if rule is None:
                continue
            script[container["name"]] = rule.script
            if rule.pulls:
                images.setdefault(container.get("image") or "", list(rule.pulls))
            if rule.sandbox:
                script.setdefault("sandbox", rule.sandbox)
        if images:
            script["images"] = images
        return {**script, **own}
