"""What an import path leads to: the deployments of an application, their user code, and the options that the code
itself sets.

A behaviour is user code (a class, or a function) or a `Distribution`: then a call takes that long and gives a fixed
result. A child in `init_args` becomes a handle in the constructor, as `bind` does it (`reference/ray-serve.md`
section 9). A `Registry` stands for what the Ray image has on its Python path; it is handed in, and each world has its
own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, cast

from rayrig_core.objects import JsonObject
from rayrig_sim.calibration import Constant, Distribution


@dataclass(frozen=True, slots=True)
class Child:
    """In `init_args`: the handle of another deployment of the same application."""

    name: str


def _children_in(value: Any) -> Iterator[Child]:
    """Also in lists, tuples and dictionaries."""
    if isinstance(value, Child):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _children_in(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _children_in(each)


Behaviour: TypeAlias = "type[Any] | Callable[..., Any] | Distribution"


@dataclass(frozen=True, slots=True)
class DeploymentCode:
    """One deployment as its code declares it.

    `latency` passes before each call of user code; `startup` before the constructor; `concurrency` is how many calls
    a replica works on at a time (others that it accepted wait inside, in order), None for all that it accepts.
    `options` are those of the decorator: `num_replicas`, `max_ongoing_requests`, `user_config`, `ray_actor_options`,
    ... `constructor_error`, when not empty, is raised by every constructor.
    """

    name: str
    behaviour: Behaviour
    result: Any = "ok"
    latency: Distribution | None = None
    startup: Distribution | None = None
    concurrency: int | None = None
    init_args: tuple[Any, ...] = ()
    init_kwargs: Mapping[str, Any] = field(default_factory=dict)
    options: JsonObject = field(default_factory=dict)
    constructor_error: str = ""
    #: Written for asyncio and blocking calls, as code for a real Ray is (`asyncio_code`).
    is_asyncio: bool = False

    @property
    def children(self) -> tuple[str, ...]:
        """Names of the deployments that this one calls (`outbound_deployments`), in order of the constructor's
        arguments.
        """
        arguments = (*self.init_args, *self.init_kwargs.values())
        return tuple(dict.fromkeys(child.name for child in _children_in(arguments)))

    @property
    def is_timed_only(self) -> bool:
        """The behaviour is a distribution: no user code runs."""
        return not isinstance(self.behaviour, type) and hasattr(self.behaviour, "draw_ns")


@dataclass(frozen=True, slots=True)
class ApplicationCode:
    """A built application: deployments in the order in which Serve lists them; `ingress` is the one that gets HTTP
    requests.
    """

    import_path: str
    ingress: str
    deployments: Mapping[str, DeploymentCode]
    #: Where the ingress shows its API, below the route prefix; None when it shows none.
    docs_path: str | None = None

    def __post_init__(self) -> None:
        if self.ingress not in self.deployments:
            raise ValueError(f"{self.import_path}: ingress {self.ingress!r} is none of {list(self.deployments)}")
        for code in self.deployments.values():
            for child in code.children:
                if child not in self.deployments:
                    raise ValueError(
                        f"{self.import_path}: {code.name} calls {child!r}, none of {list(self.deployments)}"
                    )

    def with_deployment(self, name: str, **changes: Any) -> ApplicationCode:
        """Copy with fields of one deployment's code replaced."""
        deployments = dict(self.deployments)
        deployments[name] = replace(deployments[name], **changes)
        return replace(self, deployments=deployments)

    def with_latency(self, latency: Distribution) -> ApplicationCode:
        """Copy in which the ingress takes that long."""
        code = self.deployments[self.ingress]
        return self.with_deployment(self.ingress, **{"behaviour" if code.is_timed_only else "latency": latency})


@dataclass(frozen=True, slots=True)
class Override:
    """What a scenario changes about an application; None and empty leave things as they are.

    `handler` (a class, a function, or an `ApplicationCode`) and `result` replace what the ingress does, `latency` how
    long it takes; `startup` and `constructor_error` hold for every deployment.
    """

    latency: Distribution | None = None
    result: Any = None
    has_result: bool = False
    handler: Any = None
    startup: Distribution | None = None
    constructor_error: str = ""

    def applied_to(self, app: ApplicationCode) -> ApplicationCode:
        if isinstance(self.handler, ApplicationCode):
            app = self.handler
        elif self.handler is not None:
            app = app.with_deployment(
                app.ingress, behaviour=self.handler, latency=self.latency, init_args=(), init_kwargs={}
            )
        elif self.has_result:
            code = app.deployments[app.ingress]
            latency = self.latency or (cast(Distribution, code.behaviour) if code.is_timed_only else code.latency)
            app = app.with_deployment(
                app.ingress,
                behaviour=latency or Constant(0.0),
                result=self.result,
                latency=None,
                init_args=(),
                init_kwargs={},
            )
        elif self.latency is not None:
            app = app.with_latency(self.latency)
        for name in app.deployments:
            if self.startup is not None:
                app = app.with_deployment(name, startup=self.startup)
            if self.constructor_error:
                app = app.with_deployment(name, constructor_error=self.constructor_error)
        return app


#: Gets `args` of the application (an object, empty when not given).
Builder: TypeAlias = Callable[[JsonObject], ApplicationCode]
#: Gets the import path and the names of the deployments that the configuration lists.
Fallback: TypeAlias = Callable[[str, Sequence[str]], ApplicationCode]


def single(
    import_path: str, behaviour: Behaviour, *, name: str = "", docs_path: str | None = None, **fields: Any
) -> ApplicationCode:
    """An application of one deployment, named after the class or function, else `App`."""
    name = name or (getattr(behaviour, "__name__", "") if not hasattr(behaviour, "draw_ns") else "") or "App"
    return ApplicationCode(import_path, name, {name: DeploymentCode(name, behaviour, **fields)}, docs_path)


def split_import_path(import_path: str) -> tuple[str, str]:
    """(module, attribute): `a.b:c` and `a.b.c` mean the same."""
    module, colon, attribute = import_path.partition(":")
    return (module, attribute) if colon else (import_path.rpartition(".")[0], import_path.rpartition(".")[2])


class Registry:
    """Applications by import path."""

    __slots__ = ("_entries", "_fallback", "_in_working_dirs", "_overrides")

    def __init__(self, fallback: Fallback | None = None) -> None:
        self._entries: dict[tuple[str, str], object] = {}
        self._in_working_dirs: dict[tuple[str, tuple[str, str]], object] = {}
        self._fallback = fallback
        self._overrides: dict[tuple[str, str], Override] = {}

    def register(self, import_path: str, code: ApplicationCode | Builder | object, *, working_dir: str = "") -> None:
        """Put an application, a builder, or any other object (an error at build time, as in life) at an import path.

        Importing an exception raises it. With a `working_dir`, only for applications whose runtime environment names it.
        """
        if working_dir:
            self._in_working_dirs[working_dir, split_import_path(import_path)] = code
        else:
            self._entries[split_import_path(import_path)] = code

    def override(self, import_path: str, override: Override) -> None:
        """Change the application at an import path, whatever is or will be there. One that nobody registered becomes
        a generic one.
        """
        self._overrides[split_import_path(import_path)] = override

    def has(self, import_path: str) -> bool:
        return split_import_path(import_path) in self._entries

    def with_fallback(
        self, latency: Distribution | None = None, result: Any = "ok", *, startup: Distribution | None = None
    ) -> Registry:
        """Copy in which any other import path leads to an application with the deployments that the configuration
        names.

        The last one named is the ingress; it calls none of the others. Each takes `latency` (default 10 ms) per call.
        """
        copy = Registry(_generic(latency if latency is not None else Constant(0.01), result, startup))
        copy._entries = dict(self._entries)
        copy._in_working_dirs = dict(self._in_working_dirs)
        copy._overrides = dict(self._overrides)
        return copy

    def lookup(self, import_path: str) -> object:
        """What is at the import path. Raises `ModuleNotFoundError` or `AttributeError` with Python's texts."""
        module, attribute = split_import_path(import_path)
        try:
            found = self._entries[(module, attribute)]
        except KeyError:
            pass
        else:
            if isinstance(found, Exception):
                raise found
            return found
        if any(known == module for known, _ in self._entries):
            raise AttributeError(f"module {module!r} has no attribute {attribute!r}")
        missing = module.partition(".")[0]
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    def build(
        self,
        import_path: str,
        args: JsonObject | None = None,
        deployment_names: Sequence[str] = (),
        *,
        working_dir: str = "",
    ) -> ApplicationCode:
        """The application that a configuration means: import, then call the builder if it is one.

        Raises what the import or the builder raises, and `TypeError` for an object that is no application; the texts
        are those that end the message `Deploying app 'X' failed with exception:` (`reference/ray-serve.md` 3.7).
        """
        override = self._overrides.get(split_import_path(import_path))
        try:
            own = self._in_working_dirs.get((working_dir, split_import_path(import_path)))
            found = own if own is not None else self.lookup(import_path)
        except (ModuleNotFoundError, AttributeError):
            fallback = self._fallback or (None if override is None else _generic(Constant(0.01), "ok", None))
            if fallback is None:
                raise
            found = fallback(import_path, deployment_names)
        else:
            found = _built(found, args)
        return found if override is None else override.applied_to(found)


def _generic(latency: Distribution, result: Any, startup: Distribution | None) -> Fallback:
    def build(import_path: str, names: Sequence[str]) -> ApplicationCode:
        listed = list(dict.fromkeys(names)) or [split_import_path(import_path)[1] or "App"]
        deployments = {name: DeploymentCode(name, latency, result=result, startup=startup) for name in listed}
        return ApplicationCode(import_path, listed[-1], deployments)

    return build


def _built(found: object, args: JsonObject | None) -> ApplicationCode:
    if isinstance(found, ApplicationCode):
        if args:
            raise ValueError(
                "Arguments can only be passed to an application builder function, not an already built application."
            )
        return found
    if callable(found) and not isinstance(found, type) and not hasattr(found, "bind"):
        found = found(dict(args or {}))
        if isinstance(found, ApplicationCode):
            return found
    raise TypeError(f"Expected a built Serve application or an application builder function but got: {type(found)}.")
