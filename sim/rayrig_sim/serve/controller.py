"""The Serve controller: one actor that brings applications, deployments and proxies to what was asked, in steps 0.1 s apart.

Source: ray-serve.md 5.1. Steps in which nothing can change are left out: whatever happens to a part asks for the next step by
`wake`, and each part says when time alone will give it something to do. A run with all steps carried out has the same trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rayrig_core.objects import JsonObject
from rayrig_core.ports import Cancelled
from rayrig_core.timestamps import NS, to_ns
from rayrig_core.trace import Kind
from rayrig_sim.ray.cluster import Actor, ActorSpec
from rayrig_sim.serve import checkpoint
from rayrig_sim.serve.application import ApplicationState, Source
from rayrig_sim.serve.application_code import ApplicationCode
from rayrig_sim.serve.autoscaler import DeploymentAutoscaler
from rayrig_sim.serve.broadcast import Broadcaster
from rayrig_sim.serve.checkpoint import Checkpoint, SavedApplication, SavedConfig, SavedDeployment
from rayrig_sim.serve.context import NEVER_NS, STEP_NS, ServeContext
from rayrig_sim.serve.deployment import DeploymentState
from rayrig_sim.serve.deployment_config import DeploymentInfo
from rayrig_sim.serve.handle_metrics import HandleReport
from rayrig_sim.serve.identity import DeploymentId
from rayrig_sim.serve.proxies import Proxies
from rayrig_sim.serve.proxy_server import Route
from rayrig_sim.serve.replica_process import ACTOR_PREFIX, ReplicaProcess
from rayrig_sim.serve.router import Router
from rayrig_sim.serve.silence import SilenceWatch
from rayrig_sim.serve.target_capacity import Direction, next_direction

CONTROLLER_NAME = "SERVE_CONTROLLER_ACTOR"
#: Routers' updates are held back at most this long after a restart (RECOVERING_LONG_POLL_BROADCAST_TIMEOUT_S).
_HOLD_NS = to_ns(10)
#: Each tier of a shutdown may take this long.
_TIER_NS = to_ns(30)


class ServeController:
    """One life of the controller's process. `run` is its loop; it ends by `crash` or when a shutdown is over."""

    def __init__(
        self, context: ServeContext, broadcaster: Broadcaster, proxy_location: str, *, cause: int | None = None
    ) -> None:
        self.context = context
        self.broadcaster = broadcaster
        self.applications: dict[str, ApplicationState] = {}
        self.deployments: dict[DeploymentId, DeploymentState] = {}
        self.proxies = Proxies(context, broadcaster, proxy_location, wake=self.wake)
        self.target_capacity: float | None = None
        self.direction: Direction | None = None
        self.began_unix_s = context.kernel.unix_ns() / NS
        self.steps = 0
        #: Grows with everything that the GET answer shows.
        self.revision = 0
        self.is_ended = False
        self.ended = context.kernel.signal()
        #: Happens in the step in which none of the proxies is STARTING, or when it ends.
        self.proxies_known = context.kernel.signal()
        head = context.cluster.head
        self.actor: Actor = context.cluster.create_actor(
            ActorSpec(
                CONTROLLER_NAME, {}, pinned_to=head.node_id if head is not None else None, class_name="ServeController"
            ),
            on_dead=self._actor_died,
        )
        #: Called when its process was killed from outside, with whether that was for good.
        self.on_killed: Callable[[bool], None] = lambda _: None
        self._names: tuple[str, ...] | None = None
        self._by_app: dict[str, dict[str, DeploymentState]] = {}
        self._autoscalers: dict[DeploymentId, DeploymentAutoscaler] = {}
        self._began_ns = context.now_ns
        self._tick = context.kernel.signal()
        self._tick_ns = NEVER_NS
        self._last_step_ns = -1
        self._cause = cause
        self._silence = SilenceWatch(
            context.kernel, self._silent_ns, self._all_are_heard, step_at=self._step_at, wake=self.wake
        )
        self._is_saving_due = False
        self._is_shutting_down = False
        self._tier_began_ns = 0
        self._released = True
        context.cluster.on_change.append(self._cluster_changed)
        context.routers.on_report = self._reported
        context.routers.ingress_of = self._ingress_of
        context.routers.on_closed = self._handle_closed
        context.routers.tells_nothing = self._tells_nothing
        self.wake()

    # What is asked of it

    def deploy(self, document: JsonObject, cause: int | None) -> None:
        """A validated document: all declarative applications, and the target capacity (ray-serve.md 2.1)."""
        if self._is_shutting_down:
            return
        given = document.get("applications") or []
        names = tuple(application.get("name", "default") for application in given)
        capacity = document.get("target_capacity")
        self.direction = next_direction(self._names, self.target_capacity, names, capacity, self.direction)
        self.target_capacity, self._names = capacity, names
        now_s = self.context.kernel.unix_ns() / NS
        logging = document.get("logging_config")
        for application in given:
            if logging is not None and application.get("logging_config") is None:
                application = {**application, "logging_config": logging}
            self._application(application.get("name", "default")).deploy(application, now_s, cause)
        for name, state in self.applications.items():
            if name not in names and state.source == "declarative":
                state.delete(cause)
        self._push_routes(cause)
        self._changed()
        self._save_if_due()

    def run_application(
        self, document: JsonObject, code: ApplicationCode, cause: int | None, *, source: Source = "imperative"
    ) -> None:
        """`serve.run`: an application built by a driver. Raises `ValueError` when another one has its prefix."""
        name, prefix = document.get("name", "default"), document.get("route_prefix", "/")
        for other in self.applications.values():
            if other.name != name and not other.is_deleting and prefix is not None and other.route_prefix == prefix:
                raise ValueError(
                    f'Prefix {prefix} is being used by application "{other.name}". '
                    f'Failed to deploy application "{name}".'
                )
        now_s = self.context.kernel.unix_ns() / NS
        self._application(name).deploy(document, now_s, cause, source=source, code=code)
        self._push_routes(cause)
        self._save_if_due()

    def delete_application(self, name: str, cause: int | None) -> None:
        """`serve.delete`."""
        if name in self.applications:
            self.applications[name].delete(cause)
            self._push_routes(cause)
            self._save_if_due()

    def scale(self, deployment: DeploymentId, num_replicas: int) -> None:
        """The scale API. Raises `KeyError` when there is no such deployment."""
        self.deployments[deployment].set_count(num_replicas)
        self._save_if_due()

    def shut_down(self, cause: int | None) -> None:
        """End all applications, callers before callees, then the instance."""
        if self._is_shutting_down:
            return
        self._is_shutting_down = True
        self._cause = cause
        for state in self.applications.values():
            state.stop_building()
            if not self._by_app.get(state.name):
                state.delete(cause)
        self._begin_tier(cause)
        self._changed()
        self._save_if_due()
        self.wake()

    def crash(self, reason: str = "the controller process was killed", cause: int | None = None) -> None:
        """Its process dies: replicas and proxies live on, nobody listens to them."""
        if self.is_ended:
            return
        self._end()
        for application in self.applications.values():
            application.stop_building()
        for deployment in self.deployments.values():
            for replica in deployment.replicas:
                replica.process.notify = _nobody
        for state in self.proxies.states.values():
            state.process.notify = _nobody
        self.context.cluster.emit("serve controller", "died", reason, cause)
        self.context.cluster.actor_died(self.actor, reason)

    def _actor_died(self, reason: str, is_node_dead: bool) -> None:
        if not self.is_ended and not is_node_dead:
            self.on_killed(self.actor.is_final)

    # Deployments, as applications see them (protocol `Deployments`)

    def of(self, app: str) -> Mapping[str, DeploymentState]:
        return self._by_app.get(app, {})

    def deploy_info(self, info: DeploymentInfo, cause: int | None) -> None:
        deployment = DeploymentId(info.name, info.app)
        state = self.deployments.get(deployment)
        if state is None:
            state = self._add_deployment(deployment)
        is_noticed = state.deploy(info, self.target_capacity, self.direction, cause)
        self._follow_autoscaling(state)
        if is_noticed and deployment in self._autoscalers:
            self._autoscalers[deployment].deployed()

    def delete_deployment(self, deployment: DeploymentId, cause: int | None) -> None:
        state = self.deployments.get(deployment)
        if state is not None:
            state.delete(cause)

    # Recovery

    def recover(self, saved: Checkpoint, cause: int | None) -> None:
        """Take over what a former controller left (ray-serve.md 5.10)."""
        self.target_capacity, self.direction = saved.config.target_capacity, saved.config.direction
        self._names = saved.config.names
        found: dict[DeploymentId, list[ReplicaProcess]] = {}
        for actor in self.context.cluster.actors_named(ACTOR_PREFIX):
            process: ReplicaProcess = actor.payload
            found.setdefault(process.deployment, []).append(process)
        for deployment, kept in saved.deployments.items():
            state = self._add_deployment(deployment)
            state.recover(kept.target, found.pop(deployment, []), is_frozen=kept.is_frozen, cause=cause)
            self._follow_autoscaling(state)
        for processes in found.values():
            for process in processes:
                process.kill("it belongs to no deployment")
        for name, application in saved.applications.items():
            self._application(name).recover(application.state, application.code, application.infos, cause)
        self._released = not any(state.is_recovering for state in self.deployments.values())
        self.broadcaster.is_held = not self._released
        self._push_routes(cause)
        if saved.is_shutting_down:
            self.shut_down(cause)

    # The loop

    def wake(self) -> None:
        """Ask for the next step."""
        now_ns = self.context.now_ns
        steps = (now_ns - self._began_ns) // STEP_NS
        next_ns = self._began_ns + steps * STEP_NS
        if next_ns < now_ns or next_ns <= self._last_step_ns:
            next_ns += STEP_NS
        self._wake_at(next_ns)

    def _wake_at(self, at_ns: int) -> None:
        if at_ns >= self._tick_ns or self.is_ended:
            return
        self._tick_ns = at_ns

        def tick(_: Any) -> None:
            if self._tick_ns == at_ns:
                self._tick.set(None)

        self.context.kernel.call_later(at_ns - self.context.now_ns, tick)

    async def run(self) -> None:
        """Step after step until it ends."""
        kernel = self.context.kernel
        try:
            while not self.is_ended:
                await self._tick
                self._tick = kernel.signal()
                self._tick_ns = NEVER_NS
                if not self.is_ended:
                    self.step()
        except Cancelled:
            self._end()
            raise

    def step(self) -> None:
        """One step (ray-serve.md 5.1)."""
        now_ns = self._last_step_ns = self.context.now_ns
        self.steps += 1
        self.revision += 1
        self.context.kernel.cause = self._cause
        if self._is_shutting_down:
            self._shut_down_step(now_ns)
            if self.is_ended:
                return
        if not self._released:
            self._release_when_recovered(now_ns)
        self._step_deployments(now_ns)
        for deployment, autoscaler in list(self._autoscalers.items()):
            state = self.deployments.get(deployment)
            if state is None or state.autoscaling is None:
                del self._autoscalers[deployment]
            else:
                autoscaler.decide(now_ns, self.context.kernel.unix_ns() / NS, state.seq)
        self._step_applications()
        if self._released:
            carrying: dict[str, int] = {}
            for state in self.deployments.values():
                carrying = state.active_nodes() | carrying
            self.proxies.update(now_ns, carrying, self._cause)
            if self.proxies.are_known:
                self.proxies_known.set(None)
        self._save_if_due()
        self._plan_next(now_ns)

    def _step_deployments(self, now_ns: int) -> None:
        due = [state for state in self.deployments.values() if state.is_due(now_ns)]
        for state in due:
            state.check_replicas(now_ns)
        for state in due:
            state.update_status()
        for state in due:
            state.migrate(now_ns)
        for state in due:
            state.scale()
        for state in due:
            state.update_status()
        for state in due:
            state.broadcast()
            state.plan_next(now_ns)
            if state.is_gone:
                self._forget(state)

    def _step_applications(self) -> None:
        had_routes = self._routes()
        for state in list(self.applications.values()):
            state.update()
            if state.is_gone:
                del self.applications[state.name]
                self._changed()
                self.context.kernel.trace.emit(Kind.APPLICATION, state.subject, "GONE", "", cause=state.seq)
        if self._routes() != had_routes:
            latest = max((state.seq or 0 for state in self.applications.values()), default=None)
            self._push_routes(latest)

    def _plan_next(self, now_ns: int) -> None:
        if any(state.is_dirty for state in self.deployments.values()) or self._is_shutting_down:
            self.wake()
            return
        earliest = min((state.next_ns for state in self.deployments.values()), default=NEVER_NS)
        earliest = min(earliest, self.proxies.next_ns(now_ns))
        for autoscaler in self._autoscalers.values():
            earliest = min(earliest, autoscaler.next_ns())
        if not self._released:
            earliest = min(earliest, self._began_ns + _HOLD_NS)
        if earliest < NEVER_NS:
            self._wake_at(self._step_at(max(earliest, now_ns + 1)))
        self._silence.listen_on()

    def _step_at(self, at_ns: int) -> int:
        """The first step that is not before that time."""
        return self._began_ns - (self._began_ns - at_ns) // STEP_NS * STEP_NS

    def _silent_ns(self) -> int:
        """When a handle will have been silent for too long, if nothing is heard before."""
        return min((autoscaler.silent_ns() for autoscaler in self._autoscalers.values()), default=NEVER_NS)

    def _all_are_heard(self) -> bool:
        """Whether all handles that have reported go on doing so."""
        are_heard = self.context.routers.are_heard
        return all(are_heard(deployment, scaler.handles) for deployment, scaler in self._autoscalers.items())

    # Shutdown (ray-serve.md 5.10)

    def _begin_tier(self, cause: int | None) -> None:
        """Delete the deployments that no other one left calls."""
        self._tier_began_ns = self.context.now_ns
        called: dict[DeploymentId, None] = {}
        for state in self.deployments.values():
            if state.target is not None:
                for child in state.target.info.code.children:
                    called[DeploymentId(child, state.id.app)] = None
        callers = [state for state in self.deployments.values() if state.id not in called]
        for state in callers or list(self.deployments.values()):
            state.delete(cause)

    def _shut_down_step(self, now_ns: int) -> None:
        states = list(self.deployments.values())
        deleting = [state for state in states if state.target is not None and state.target.is_deleting]
        is_over = not deleting or now_ns - self._tier_began_ns >= _TIER_NS
        if states and is_over:
            for state in deleting:
                for replica in list(state.replicas):
                    replica.process.kill("the shutdown took too long")
                    state.replicas.remove(replica)
                self._forget(state)
            self._begin_tier(self._cause)
        if not self.deployments:
            for name in list(self.applications):
                self.applications[name].delete(self._cause)
                del self.applications[name]
            self._push_routes(self._cause)
            self.proxies.end_all()
            checkpoint.erase(self.context.cluster.kv)
            self._end()
            self.context.cluster.kill_actor(self.actor)
            self.ended.set(None)

    # Inside

    def _application(self, name: str) -> ApplicationState:
        state = self.applications.get(name)
        if state is None:
            state = self.applications[name] = ApplicationState(
                self.context, name, _Deployments(self), wake=self.wake, changed=self._changed
            )
        return state

    def _add_deployment(self, deployment: DeploymentId) -> DeploymentState:
        state = DeploymentState(self.context, deployment, self.broadcaster, wake=self.wake, changed=self._changed)
        self.deployments[deployment] = state
        self._by_app.setdefault(deployment.app, {})[deployment.name] = state
        return state

    def _forget(self, state: DeploymentState) -> None:
        self.deployments.pop(state.id, None)
        siblings = self._by_app.get(state.id.app, {})
        siblings.pop(state.id.name, None)
        if not siblings:
            self._by_app.pop(state.id.app, None)
        self.broadcaster.removed(state.id, state.seq)
        self._changed()

    def _follow_autoscaling(self, state: DeploymentState) -> None:
        if state.autoscaling is not None and state.id not in self._autoscalers:
            self._autoscalers[state.id] = DeploymentAutoscaler(state)

    def _reported(self, deployment: DeploymentId, report: HandleReport) -> None:
        autoscaler = self._autoscalers.get(deployment)
        if autoscaler is not None and not self.is_ended and autoscaler.received(report, report.at_ns):
            self.wake()

    def _tells_nothing(self, router: Router) -> bool:
        """Whether another report of a handle without calls would make no difference."""
        autoscaler = self._autoscalers.get(router.deployment)
        return autoscaler is None or self.is_ended or autoscaler.is_told_nothing_by(router)

    def _handle_closed(self, router: Router) -> None:
        autoscaler = self._autoscalers.get(router.deployment)
        if autoscaler is not None and not self.is_ended and autoscaler.lost(router):
            self.wake()

    def _ingress_of(self, app: str) -> str | None:
        found = self.applications.get(app)
        return found.ingress.name if found is not None and found.ingress is not None else None

    def _routes(self) -> list[Route]:
        table: dict[str, Route] = {}
        for state in self.applications.values():
            ingress = state.ingress
            if state.route_prefix is not None and ingress is not None and not state.is_deleting:
                table[state.route_prefix] = Route(state.route_prefix, state.name, ingress)
        return list(table.values())

    def _push_routes(self, cause: int | None) -> None:
        routes = self._routes()
        if routes or self.broadcaster.has_routes:
            self.broadcaster.routes(routes, cause)

    def _release_when_recovered(self, now_ns: int) -> None:
        is_recovering = any(state.is_recovering for state in self.deployments.values())
        if is_recovering and now_ns - self._began_ns < _HOLD_NS:
            return
        self._released = True
        self.broadcaster.is_held = False
        for state in self.deployments.values():
            state.is_dirty = True

    def _cluster_changed(self) -> None:
        """Nodes or placements changed: every deployment may be concerned."""
        if self.is_ended:
            return
        for state in self.deployments.values():
            state.is_dirty = True
        self.wake()

    def save(self) -> None:
        """Write a checkpoint."""
        self._changed()
        self._save_if_due()

    def _changed(self) -> None:
        self._is_saving_due = True
        self.revision += 1

    def _save_if_due(self) -> None:
        if not self._is_saving_due:
            return
        self._is_saving_due = False
        checkpoint.save(
            self.context.cluster.kv,
            Checkpoint(
                SavedConfig(self.target_capacity, self.direction, self._names),
                {
                    name: SavedApplication(state.saved(), state.code, dict(state.infos) if state.infos else None)
                    for name, state in self.applications.items()
                },
                {
                    deployment: SavedDeployment(state.target, state.is_frozen)
                    for deployment, state in self.deployments.items()
                    if state.target is not None
                },
                self._is_shutting_down,
            ),
        )

    def _end(self) -> None:
        self.is_ended = True
        self._silence.end()
        self._tick.set(None)
        self.proxies_known.set(None)
        callbacks = self.context.cluster.on_change
        if self._cluster_changed in callbacks:
            callbacks.remove(self._cluster_changed)


class _Deployments:
    """The controller's deployments, in the words of `application.Deployments`."""

    __slots__ = ("_controller",)

    def __init__(self, controller: ServeController) -> None:
        self._controller = controller

    def deploy(self, info: DeploymentInfo, cause: int | None) -> None:
        self._controller.deploy_info(info, cause)

    def delete(self, deployment: DeploymentId, cause: int | None) -> None:
        self._controller.delete_deployment(deployment, cause)

    def of(self, app: str) -> Mapping[str, DeploymentState]:
        return self._controller.of(app)


def _nobody() -> None:
    """There is no controller to tell."""
