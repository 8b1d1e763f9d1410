"""One application in the controller: what was submitted, its build, its deployments' targets, its status.

Source: ray-serve.md 3.7, 3.8, 4.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, Protocol

from rayrig_core.objects import JsonObject
from rayrig_core.trace import Kind
from rayrig_sim.serve.application_code import ApplicationCode
from rayrig_sim.serve.context import ServeContext
from rayrig_sim.serve.deployment_config import DeploymentInfo, check_router_classes, code_version, deployment_infos
from rayrig_sim.serve.identity import DeploymentId
from rayrig_sim.serve.status import ApplicationStatus, application_status

if TYPE_CHECKING:
    from rayrig_core.ports import Task
    from rayrig_sim.serve.deployment import DeploymentState

Source = Literal["declarative", "imperative"]


class Deployments(Protocol):
    """What an application does with its deployments."""

    def deploy(self, info: DeploymentInfo, cause: int | None) -> None: ...

    def delete(self, deployment: DeploymentId, cause: int | None) -> None: ...

    def of(self, app: str) -> Mapping[str, DeploymentState]:
        """Those that exist, deleting ones too, by name."""
        ...


class ApplicationState:
    """An application. `infos` is None while it is being built, and after a build or its options were refused: then its
    deployments, if an older version has any, go on unseen."""

    def __init__(
        self,
        context: ServeContext,
        name: str,
        deployments: Deployments,
        *,
        wake: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self.context = context
        self.name = name
        self.subject = f"{context.subject}/{name}"
        self.source: Source = "declarative"
        self.document: JsonObject | None = None
        self.status = ApplicationStatus.DEPLOYING
        self.message = ""
        self.deployed_time_s = 0.0
        self.route_prefix: str | None = None
        self.code: ApplicationCode | None = None
        self.infos: dict[str, DeploymentInfo] | None = None
        self.is_deleting = False
        self.seq: int | None = None
        self._deployments = deployments
        self._wake = wake
        self._changed = changed
        self._rng = context.stream(f"build/{name}")
        self._version: str | None = None
        self._build: Task[None] | None = None
        self._built: ApplicationCode | Exception | None = None

    # Targets

    def deploy(
        self,
        document: JsonObject,
        deployed_time_s: float,
        cause: int | None,
        *,
        source: Source = "declarative",
        code: ApplicationCode | None = None,
    ) -> None:
        """A submitted document. `code` is given by `serve.run`, which builds in the driver."""
        self.source = source
        self.document = document
        self.deployed_time_s = deployed_time_s
        self.is_deleting = False
        self._set_status(ApplicationStatus.DEPLOYING, "", cause)
        version = code_version(document)
        self._cancel_build()
        if code is not None:
            self._version = version
            self._take(code, self.seq)
        elif version == self._version and self.infos is not None and self.code is not None:
            self._take(self.code, self.seq)
        else:
            self.infos, self._version = None, None
            self._build = self.context.kernel.spawn(f"build {self.name}", self._run_build(document))
        self._changed()
        self._wake()

    def delete(self, cause: int | None) -> None:
        """All its deployments go, then it."""
        if self.is_deleting:
            return
        self.is_deleting = True
        self._cancel_build()
        self.document = None
        self.infos, self._version = None, None
        self._set_status(ApplicationStatus.DELETING, "", cause)
        for name in self._deployments.of(self.name):
            self._deployments.delete(DeploymentId(name, self.name), self.seq)
        self._changed()
        self._wake()

    def recover(
        self,
        saved: JsonObject,
        code: ApplicationCode | None,
        infos: dict[str, DeploymentInfo] | None,
        cause: int | None,
    ) -> None:
        """After a restart of the controller. What was not built is built again."""
        self.source = saved["source"]
        self.document = saved["document"]
        self.deployed_time_s = saved["deployed_time_s"]
        self.route_prefix = saved["route_prefix"]
        self.is_deleting = saved["is_deleting"]
        if self.is_deleting:
            self._set_status(ApplicationStatus.DELETING, "", cause)
            return
        self._set_status(ApplicationStatus.DEPLOYING, "", cause)
        if infos is not None and code is not None and self.document is not None:
            self.code, self.infos, self._version = code, infos, code_version(self.document)
        elif self.document is not None:
            self.deploy(self.document, self.deployed_time_s, cause, source=self.source)

    def saved(self) -> JsonObject:
        """Its part of a checkpoint."""
        return {
            "source": self.source,
            "document": self.document,
            "deployed_time_s": self.deployed_time_s,
            "route_prefix": self.route_prefix,
            "is_deleting": self.is_deleting,
            "is_built": self.infos is not None,
        }

    def stop_building(self) -> None:
        """The controller is gone."""
        self._cancel_build()

    # A step

    def update(self) -> None:
        """Take up the result of a build; then derive the status."""
        built, self._built = self._built, None
        if isinstance(built, Exception):
            self._refuse(f"Deploying app '{self.name}' failed with exception:\n{traceback_text(built)}")
        elif built is not None and self.document is not None:
            self._version = code_version(self.document)
            self._take(built, self.seq)
        if self.infos is None or self.is_deleting:
            return
        present = self._deployments.of(self.name)
        infos = [(name, present[name].status) for name in self.infos if name in present]
        if len(infos) == len(self.infos):
            status, message = application_status(infos)
            latest = max((present[name].seq or 0 for name in self.infos), default=None)
            self._set_status(status, message, latest)

    @property
    def is_gone(self) -> bool:
        """Deletion is over."""
        return self.is_deleting and not self._deployments.of(self.name)

    @property
    def ingress(self) -> DeploymentId | None:
        """Of what is or was running."""
        return DeploymentId(self.code.ingress, self.name) if self.code is not None else None

    # Inside

    async def _run_build(self, document: JsonObject) -> None:
        context = self.context
        names = [given["name"] for given in document.get("deployments") or ()]
        await context.kernel.sleep_ns(context.calibration.app_build.draw_ns(self._rng))
        try:
            working_dir = (document.get("runtime_env") or {}).get("working_dir", "")
            built = context.registry.build(
                document["import_path"], document.get("args") or {}, names, working_dir=working_dir
            )
            check_router_classes(document)
            self._built = built
        except Exception as error:
            self._built = error
        self._wake()

    def _cancel_build(self) -> None:
        if self._build is not None:
            self._build.cancel()
        self._build, self._built = None, None

    def _take(self, code: ApplicationCode, cause: int | None) -> None:
        """Deploy what was built, under the options of the document."""
        assert self.document is not None
        try:
            infos = deployment_infos(self.document, code)
        except ValueError as error:
            self._refuse(traceback_text(error))
            return
        self.code, self.infos = code, infos
        self.route_prefix = self.document.get("route_prefix", "/")
        for info in infos.values():
            self._deployments.deploy(info, cause)
        for name in list(self._deployments.of(self.name)):
            if name not in infos:
                self._deployments.delete(DeploymentId(name, self.name), cause)
        self._changed()

    def _refuse(self, message: str) -> None:
        self.infos, self._version = None, None
        self._set_status(ApplicationStatus.DEPLOY_FAILED, message, self.seq)

    def _set_status(self, status: ApplicationStatus, message: str, cause: int | None) -> None:
        if status is self.status and message == self.message and self.seq is not None:
            return
        self.status, self.message = status, message
        self.seq = self.context.kernel.trace.emit(Kind.APPLICATION, self.subject, status.value, message, cause=cause)

    # View

    def details(self) -> JsonObject:
        """As the GET answer shows it (ray-serve.md 2.2)."""
        is_shown = self.infos is not None and not self.is_deleting
        # Deployments that the code no longer has go unseen.
        names = self.infos or () if is_shown else ()
        present = {name: state for name, state in self._deployments.of(self.name).items() if name in names}
        result: JsonObject = {
            "name": self.name,
            "route_prefix": self.route_prefix,
            "docs_path": self.code.docs_path if self.code is not None else None,
            "status": self.status.value,
            "message": self.message,
            "last_deployed_time_s": self.deployed_time_s,
            "deployed_app_config": self.document if self.source == "declarative" else None,
            "source": self.source,
            "deployments": {name: state.details() for name, state in present.items()},
            "external_scaler_enabled": bool((self.document or {}).get("external_scaler_enabled", False)),
        }
        result["deployment_topology"] = self._topology(self.code) if is_shown and self.code is not None else None
        return result

    def _topology(self, code: ApplicationCode) -> JsonObject:
        return {
            "app_name": self.name,
            "nodes": {
                name: {
                    "name": name,
                    "app_name": self.name,
                    "outbound_deployments": [
                        {"name": child, "app_name": self.name} for child in sorted(deployment.children)
                    ],
                    "is_ingress": name == code.ingress,
                }
                for name, deployment in code.deployments.items()
            },
            "ingress_deployment": code.ingress,
        }


def traceback_text(error: Exception) -> str:
    """How an exception of the controller or the build looks in a message: a traceback whose last line is what counts."""
    kind = type(error)
    name = kind.__name__
    if kind.__module__.startswith("pydantic"):
        name = f"pydantic_core._pydantic_core.{name}"
    return f'Traceback (most recent call last):\n  File "application_state.py", in build\n{name}: {error}\n'
