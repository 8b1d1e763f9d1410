"""A scenario ready to run: the file as it was read, with manifests, nodes, applications and traffic in the world's own values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from shlex import quote

from rayrig_backends.world import ApplicationSpec, NodeSpec, TrafficSpec, WorldSpec
from rayrig_controllers.releases import KUBERAY_1_1, RELEASES, Profile
from rayrig_core.errors import InputError
from rayrig_core.resources.feature_gates import DEFAULT_GATES, FeatureGates
from rayrig_scenarios.language.container_scripts import script_rule
from rayrig_scenarios.language.documents import Document
from rayrig_scenarios.language.manifests import WrittenObject
from rayrig_scenarios.language.scenario_file import ScenarioFile
from rayrig_sim.calibration import Calibration
from rayrig_sim.kubernetes.kubelet.script_rules import ScriptRule


@dataclass(frozen=True, slots=True)
class Scenario:
    """`reference` is what `load` was given, so that a replay line can say it again; `fingerprint` changes with any text read.

    `manifests` are the objects named at the top, in order; `extra_manifests` those of the apply steps that bring their own, by
    index of the step. `warnings` are remarks that stop nothing.
    """

    file: ScenarioFile
    reference: str
    document: Document
    manifests: tuple[WrittenObject, ...]
    nodes: tuple[NodeSpec, ...]
    applications: tuple[ApplicationSpec, ...]
    traffic: Mapping[str, TrafficSpec]
    extra_manifests: Mapping[int, tuple[WrittenObject, ...]] = field(default_factory=dict)
    calibration: Calibration = field(default_factory=Calibration)
    fingerprint: str = ""
    warnings: tuple[str, ...] = ()
    #: Gates of the operator as they were given beside the file, in the operator's words; they hold over those of the file.
    given_gates: str = ""
    #: A file of scripts that was given beside the scenario, and what it says; they stand before those of the scenario.
    given_script: str = ""
    given_scripts: tuple[ScriptRule, ...] = ()
    #: A release of KubeRay that was given beside the file; it holds over that of the file.
    given_kuberay: Profile | None = None

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def description(self) -> str:
        return self.file.description

    @property
    def seed(self) -> int:
        return self.file.seed

    @property
    def limit_s(self) -> float:
        """Virtual seconds after which the run is broken off."""
        return self.file.duration

    def world_spec(self, seed: int) -> WorldSpec:
        return WorldSpec(
            seed=seed,
            nodes=self.nodes,
            profile=self.kuberay,
            calibration=self.calibration,
            applications=self.applications,
            scripts=(*self.given_scripts, *map(script_rule, self.file.containers)),
            gates=self.gates,
        )

    @property
    def kuberay(self) -> str:
        """The version of the operator, `v1.7.0`."""
        return RELEASES[self.given_kuberay].version if self.given_kuberay is not None else self.file.kuberay

    @property
    def gates(self) -> FeatureGates:
        """The operator's feature gates."""
        return FeatureGates.parse(self.given_gates, DEFAULT_GATES.with_(self.file.feature_gates))

    def with_gates(self, text: str) -> Scenario:
        """With these gates (`Name=true,Other=false`) whatever the file says. Raises `InputError`."""
        FeatureGates.parse(text)
        if text and self.kuberay == KUBERAY_1_1.version:
            raise InputError(
                f"KubeRay {self.kuberay} has no feature gates", where="--feature-gates", remedy="leave it out"
            )
        return replace(self, given_gates=text)

    def with_kuberay(self, profile: Profile) -> Scenario:
        """With the operator of that release whatever the file says. Raises `InputError`."""
        if self.file.feature_gates and not RELEASES[profile].has_feature_gates:
            raise InputError(
                f"the scenario sets feature gates, and KubeRay {profile} has none",
                where="--kuberay",
                remedy="leave it out, or take feature-gates out of the scenario",
            )
        return replace(self, given_kuberay=profile)

    def replay_line(self, seed: int) -> str:
        """The command that repeats the run."""
        reference = quote(self.reference)
        script = f" --script {quote(self.given_script)}" if self.given_script else ""
        kuberay = f" --kuberay {self.given_kuberay}" if self.given_kuberay is not None else ""
        gates = f" --feature-gates {self.given_gates}" if self.given_gates else ""
        return f"rayrig run {reference}{script}{kuberay}{gates} --seed {seed}"


def fingerprint(texts: Iterable[str]) -> str:
    """16 hexadecimal digits over all texts a scenario was read from."""
    digest = blake2b(digest_size=8)
    for text in texts:
        digest.update(text.encode())
        digest.update(b"\0")
    return digest.hexdigest()
