"""From a name or path to a `Scenario`: read, check against the language, resolve manifests, check what refers to what.

All that can be wrong with the input is found here, before a run begins, as an `InputError` of one line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from rayrig_backends.world import ApplicationSpec, TrafficSpec
from rayrig_controllers.releases import Profile, profile_of
from rayrig_core.errors import InputError
from rayrig_core.remedies import closest
from rayrig_scenarios.language.applying import EVERYTHING, BadPath, changed_object, choose_manifests
from rayrig_scenarios.language.conditions import Condition
from rayrig_scenarios.language.documents import Document, Place, parse_documents, read_text
from rayrig_scenarios.language.from_manifest import scenario_of_objects
from rayrig_scenarios.language.handlers import load_handler
from rayrig_scenarios.language.manifests import (
    WrittenObject,
    bundled_manifest,
    check_object,
    manifest_file,
    objects_of,
    refuse_twins,
    remarks,
)
from rayrig_scenarios.language.node_sizing import nodes_for
from rayrig_scenarios.language.remembered import check_remembered
from rayrig_scenarios.language.scenario import Scenario, fingerprint
from rayrig_scenarios.language.scenario_file import Application, parse_scenario
from rayrig_scenarios.language.script_files import script_file
from rayrig_scenarios.language.steps import Apply, Manifest
from rayrig_scenarios.language.world_values import node_spec, traffic_spec
from rayrig_sim.calibration import Calibration
from rayrig_sim.kubernetes.kubelet.script_rules import ScriptRule

#: Sub-folders of the library, whose scenarios are called `GROUP/NAME`, and what they hold.
GROUPS: Mapping[str, str] = {"e2e": "what KubeRay's own end-to-end tests of RayServices check"}


def bundled_scenarios(group: str = "") -> list[str]:
    """Names of the library's scenarios, or of those of one of its groups."""
    folder = files("rayrig_scenarios") / "library"
    if group:
        folder = folder / group
    names = sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    return [f"{group}/{name}" for name in names] if group else names


def load(reference: str | Path, *, script: Path | None = None, kuberay: str = "") -> Scenario:
    """The scenario of that name or path. A file that holds a RayService manifest becomes a scenario that upgrades it.

    `script` is a file of scripts for its containers, which stand before the scenario's own; `kuberay` a release, whatever the
    scenario says (`1.1`). Raises `InputError` with place and remedy.
    """
    scripts = () if script is None else script_file(script)
    scenario = _load(reference, scripts, profile_of(kuberay, "--kuberay") if kuberay else None)
    return scenario if script is None else replace(scenario, given_script=str(script), given_scripts=scripts)


def _load(reference: str | Path, scripts: Sequence[ScriptRule], profile: Profile | None) -> Scenario:
    text = str(reference)
    group, slash, name = text.partition("/")
    is_name = "/" not in (name if slash and group in GROUPS else text) and not text.endswith((".yaml", ".yml"))
    if isinstance(reference, str) and is_name and not Path(text).is_file():
        return _load_bundled(text, profile)
    path = Path(text)
    return load_text(read_text(path), text, reference=text, folder=path.parent, scripts=scripts, profile=profile)


def _load_bundled(name: str, profile: Profile | None) -> Scenario:
    group = name.rpartition("/")[0]
    if name not in bundled_scenarios(group):
        known = [*bundled_scenarios(), *(other for each in GROUPS for other in bundled_scenarios(each))]
        raise InputError(
            f'no scenario is called "{name}"',
            remedy=closest(name, known) + "; a path has a slash or ends with .yaml",
        )
    library = Path(str(files("rayrig_scenarios") / "library"))
    text = (library / f"{name}.yaml").read_text(encoding="utf-8")
    return load_text(text, f"{name}.yaml", reference=name, folder=library / group, profile=profile)


def load_text(
    text: str,
    shown: str,
    *,
    reference: str = "",
    folder: Path | None = None,
    scripts: Sequence[ScriptRule] = (),
    profile: Profile | None = None,
) -> Scenario:
    """The scenario in a text; `shown` is what errors call it, relative paths begin at `folder`, `scripts` are those that the
    containers of a manifest will have, `profile` is whose operator it has whatever the text says. Raises `InputError`."""
    documents = parse_documents(text, shown)
    if not documents:
        raise InputError("the file is empty", where=shown, remedy="write a scenario or a RayService manifest into it")
    if any(isinstance(d.data, dict) and "kind" in d.data and "steps" not in d.data for d in documents):
        return scenario_of_objects(
            objects_of(documents), reference=reference or shown, text=text, scripts=scripts, profile=profile
        )
    if len(documents) > 1:
        raise InputError(
            "a second document begins here", where=documents[1].where(), remedy="one scenario per file; remove the ---"
        )
    scenario = _Loader(documents[0], folder or Path(), text).load(reference or shown)
    return scenario if profile is None else scenario.with_kuberay(profile)


class _Loader:
    """Resolves one parsed file; collects every text it reads for the fingerprint."""

    def __init__(self, document: Document, folder: Path, text: str) -> None:
        self.document = document
        self.folder = folder
        self.texts = [text]
        self.file = parse_scenario(document)

    def load(self, reference: str) -> Scenario:
        file = self.file
        where = self.document.where
        manifests: list[WrittenObject] = []
        for index, manifest in enumerate(file.manifests):
            manifests += self.manifest(manifest, ("manifests", index))
        refuse_twins(manifests)
        traffic: dict[str, TrafficSpec] = {}
        for index, source in enumerate(file.traffic):
            if source.name in traffic:
                raise InputError(
                    f'a second traffic is called "{source.name}"',
                    where=where(("traffic", index, "name")),
                    remedy="give each its own name",
                )
            traffic[source.name] = traffic_spec(source)
        data = self.document.data
        check_remembered(self.document, data["steps"], data.get("expect") or ())
        extra, applied = self.check_applies(manifests)
        services = {obj.name: None for obj in (*manifests, *applied) if obj.kind == "RayService"}
        self.check_references(list(services), traffic)
        # Of an object that is applied several times, the last form counts.
        everything = {obj.key: obj.object for obj in (*manifests, *applied)}.values()
        nodes = tuple(node_spec(nodes) for nodes in file.nodes) or nodes_for(everything)
        self.check_nodes([name for spec in nodes for name in spec.names()])
        return Scenario(
            file=file,
            reference=reference,
            document=self.document,
            manifests=tuple(manifests),
            nodes=nodes,
            applications=tuple(
                self.application(import_path, behaviour) for import_path, behaviour in file.applications.items()
            ),
            traffic=traffic,
            extra_manifests=extra,
            calibration=self.calibration(),
            fingerprint=fingerprint(self.texts),
            warnings=remarks(manifests),
        )

    def calibration(self) -> Calibration:
        try:
            return Calibration().with_overrides(self.file.calibration, where="calibration")
        except InputError as error:
            name = error.where.partition(".")[2]
            where = self.document.where(("calibration", name))
            raise InputError(error.what, where=where, remedy=error.remedy) from None

    def manifest(self, manifest: Manifest, place: Place, *, is_sound: bool = True) -> list[WrittenObject]:
        if manifest.inline is not None:
            found = WrittenObject(manifest.inline, self.document, (*place, "inline"))
            if is_sound:
                check_object(found)
            return [found]
        if manifest.bundled is not None:
            objects = bundled_manifest(manifest.bundled, where=self.document.where((*place, "bundled")))
        else:
            assert manifest.file is not None
            path = self.folder / manifest.file
            shown = str(path)
            objects = manifest_file(path, shown=shown, where=self.document.where(place))
        self.texts += [json.dumps(obj.object, sort_keys=True, default=str) for obj in objects]
        return objects

    # Steps

    def check_applies(
        self, manifests: list[WrittenObject]
    ) -> tuple[dict[int, tuple[WrittenObject, ...]], list[WrittenObject]]:
        """Go through the apply steps in order, on paper: each must find what it names and leave a valid object."""
        extra: dict[int, tuple[WrittenObject, ...]] = {}
        known = {written.key: written for written in manifests}
        results: list[WrittenObject] = []
        for index, step in enumerate(self.file.steps):
            if step.apply is None:
                continue
            place: Place = ("steps", index, "apply")
            # What the API server must refuse need not be sound, and changes nothing.
            is_refused = step.apply.refused is not None
            if step.apply.source is not None:
                extra[index] = tuple(self.manifest(step.apply.source, place, is_sound=not is_refused))
                if not is_refused:
                    known.update((written.key, written) for written in extra[index])
                chosen = list(extra[index])
            else:
                chosen = self.chosen(step.apply, known, place)
            if step.apply.set or step.apply.merge:
                if len(chosen) != 1:
                    raise InputError(
                        "changes several objects alike",
                        where=self.document.where(place),
                        remedy="apply them first, then change each by its name",
                    )
                result = self.changed(step.apply, chosen[0], place)
                if not is_refused:
                    known[result.key] = result
                    results.append(result)
            elif not is_refused:
                results += chosen
        return extra, results

    def chosen(
        self, apply: Apply, known: Mapping[tuple[str, str, str], WrittenObject], place: Place
    ) -> list[WrittenObject]:
        try:
            return choose_manifests(apply.manifest or "", list(known.values()))
        except InputError as error:
            raise InputError(error.what, where=self.document.where(place), remedy=error.remedy) from None

    def changed(self, apply: Apply, written: WrittenObject, place: Place) -> WrittenObject:
        try:
            obj = changed_object(written.object, apply)
        except BadPath as error:
            where = self.document.where((*place, "set", error.path))
            raise InputError(str(error), where=where, remedy="name a field of the manifest") from None
        # The object is now written in two places; what is wrong with it came in here.
        result = WrittenObject(obj, written.document, written.base)
        if apply.refused is not None:
            return result
        try:
            check_object(result)
        except InputError as error:
            raise InputError(
                f"after this change: {error.what}", where=self.document.where(place), remedy=error.remedy
            ) from None
        return result

    def check_references(self, services: list[str], traffic: Mapping[str, TrafficSpec]) -> None:
        for index, step in enumerate(self.file.steps):
            place: Place = ("steps", index)
            for verb, field, conditions in (
                ("wait", "for", step.wait.for_ if step.wait is not None else ()),
                ("hold", "that", step.hold.that if step.hold is not None else ()),
            ):
                for number, condition in enumerate(conditions):
                    many = isinstance(self.document.data["steps"][index][verb][field], list)
                    inner = (*place, verb, field, number) if many else (*place, verb, field)
                    self.check_condition(condition, services, traffic, inner)
            for verb in ("start_traffic", "stop_traffic"):
                for name in getattr(step, verb) or ():
                    self.check_traffic(name, traffic, (*place, verb.replace("_", "-")))
            if step.fault is not None:
                service = step.fault.params.get("service")
                if service is not None and service not in services and "$(" not in service:
                    self.no_service(service, services, (*place, "fault", "service"))
                source = step.fault.params.get("traffic")
                if source is not None:
                    self.check_traffic(source, traffic, (*place, "fault", "traffic"))
        for index, expectation in enumerate(self.file.expect):
            if expectation.digest is None:
                self.check_condition(expectation, services, traffic, ("expect", index))

    def check_nodes(self, nodes: list[str]) -> None:
        """The nodes that steps drain and cordon; others may be made by an apply."""
        for index, step in enumerate(self.file.steps):
            of = step.drain or step.cordon or step.uncordon
            if of is None or not of.node or of.node in nodes or "$(" in of.node:
                continue
            where = self.document.where(("steps", index, step.chosen))
            raise InputError(f'no node is called "{of.node}"', where=where, remedy=closest(of.node, nodes))

    def check_condition(
        self, condition: Condition, services: list[str], traffic: Mapping[str, TrafficSpec], place: Place
    ) -> None:
        inner = (*place, condition.chosen.replace("_", "-"))
        value = getattr(condition, condition.chosen)
        source = getattr(value, "traffic", "")
        if source:
            self.check_traffic(source, traffic, (*inner, "traffic"))
        if "service" not in getattr(type(value), "model_fields", {}):
            return
        if value.service:
            # What is remembered is known only when the scenario runs.
            if value.service not in services and "$(" not in value.service:
                self.no_service(value.service, services, (*inner, "service"))
        elif len(services) > 1 and condition.chosen != "pods":
            raise InputError(
                "says not which RayService",
                where=self.document.where(inner),
                remedy="add service: " + " or ".join(sorted(services)),
            )

    def check_traffic(self, name: str, traffic: Mapping[str, TrafficSpec], place: Place) -> None:
        if name not in traffic and not (name == EVERYTHING and traffic):
            raise InputError(
                f'no traffic is called "{name}"', where=self.document.where(place), remedy=closest(name, traffic)
            )

    def no_service(self, name: str, services: list[str], place: Place) -> None:
        raise InputError(
            f'no RayService is called "{name}"', where=self.document.where(place), remedy=closest(name, services)
        )

    # Applications

    def application(self, import_path: str, behaviour: Application) -> ApplicationSpec:
        handler = None
        if behaviour.handler:
            place: Place = ("applications", import_path, "handler")
            handler = load_handler(behaviour.handler, self.folder, where=self.document.where(place))
        return ApplicationSpec(
            import_path,
            latency=behaviour.latency,
            result=behaviour.result,
            has_result="result" in behaviour.model_fields_set,
            handler=handler,
            startup=behaviour.startup,
            fails_with=behaviour.fails_with,
        )
