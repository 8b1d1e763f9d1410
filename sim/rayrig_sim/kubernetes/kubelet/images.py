"""Images: whether one is there, whether to pull it, and the back-off when that fails (`reference/kubelet.md` section 8)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from rayrig_core.core_event_recorder import EventType
from rayrig_core.objects import JsonObject, name_of, namespace_of, uid_of
from rayrig_core.ports import Runtime, Signal
from rayrig_core.resources.durations import format_milliseconds
from rayrig_core.trace import Kind
from rayrig_sim.kubernetes.backoff import Backoff
from rayrig_sim.kubernetes.kubelet.containers import ContainerRuntime, ImagePullFailed

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:{_DOMAIN}/)?{_PART}(?:/{_PART})*(?::[\w][\w.-]{{0,127}})?(?:@[A-Za-z][\w+.-]*:[0-9a-fA-F]{{32,}})?", re.ASCII
)
#: Told when the runtime does not know an image's size.
_SIZE = 1000

Event = Callable[[EventType, str, str], None]


class ImageUnavailable(Exception):
    """A container cannot be started for want of its image. `reason` is the waiting reason; the text its message."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


@lru_cache(maxsize=1024)
def invalid_reference(image: str) -> str:
    """Why that is no image name, in the words of the container tools; empty when it is one."""
    domain, slash, remainder = image.partition("/")
    if not slash or (not any(c in domain for c in ".:") and domain != "localhost" and domain.lower() == domain):
        remainder = image
    remote = remainder.partition("@")[0].partition(":")[0]
    if remote.lower() != remote:
        return f"invalid reference format: repository name ({remote}) must be lowercase"
    return "" if _REFERENCE.fullmatch(image) else "invalid reference format"


def pull_policy(spec: JsonObject) -> str:
    """`imagePullPolicy` of a container; by default it depends on the tag."""
    policy: str | None = spec.get("imagePullPolicy")
    if policy:
        return policy
    image: str = spec.get("image", "")
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if "@" not in image and tag in ("", "latest") else "IfNotPresent"


class ImageManager:
    """Brings images to one node, in `serial` fashion one at a time."""

    def __init__(self, runtime: Runtime, containers: ContainerRuntime, *, serial: bool) -> None:
        self._runtime = runtime
        self._containers = containers
        self._serial = serial
        self._backoff = Backoff()
        self._errors: dict[tuple[str, str], str] = {}
        #: Set when the last pull in line is done.
        self._last_in_line: Signal[None] | None = None

    async def ensure(self, pod: JsonObject, spec: JsonObject, event: Event) -> None:
        """Return when the image of that container is there. Raises `ImageUnavailable`."""
        image: str = spec.get("image", "")
        wrong = invalid_reference(image)
        if wrong:
            text = f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": {wrong}'
            event("Warning", "InspectFailed", text)
            raise ImageUnavailable("InvalidImageName", text)
        policy = pull_policy(spec)
        if policy != "Always" and self._containers.has_image(image):
            text = f'Container image "{image}" already present on machine and can be accessed by the pod'
            event("Normal", "Pulled", text)
            return
        if policy == "Never":
            text = f'Container image "{image}" is not present with pull policy of Never'
            event("Warning", "ErrImageNeverPull", text)
            raise ImageUnavailable("ErrImageNeverPull", text)
        key = (uid_of(pod), image)
        last_ns = self._backoff.last_attempt_ns(key)
        if last_ns is not None and self._runtime.monotonic_ns() < self._backoff.ends_ns(key, last_ns):
            text = f'Back-off pulling image "{image}"'
            event("Normal", "BackOff", text)
            raise ImageUnavailable("ImagePullBackOff", f"{text}: {self._errors.get(key, 'ErrImagePull')}")
        event("Normal", "Pulling", f'Pulling image "{image}"')
        await self._pull(pod, image, key, event)

    async def _pull(self, pod: JsonObject, image: str, key: tuple[str, str], event: Event) -> None:
        runtime = self._runtime
        subject = f"pods/{namespace_of(pod)}/{name_of(pod)}"
        asked_ns = runtime.monotonic_ns()
        done = await self._take_turn()
        began_ns = runtime.monotonic_ns()
        runtime.trace.emit(Kind.IMAGE, subject, image, "pulling")
        try:
            size = await self._containers.pull_image(image, pod)
        except ImagePullFailed as failure:
            now_ns = runtime.monotonic_ns()
            runtime.trace.emit(Kind.IMAGE, subject, image, "failed")
            event("Warning", "Failed", f'Failed to pull image "{image}": {failure}')
            self._backoff.next(key, now_ns, now_ns)
            self._errors[key] = f"{failure.code}: {failure}"
            raise ImageUnavailable(failure.code, str(failure)) from None
        finally:
            if done is not None:
                done.set(None)
        now_ns = runtime.monotonic_ns()
        runtime.trace.emit(Kind.IMAGE, subject, image, "pulled")
        took, waited = format_milliseconds(now_ns - began_ns), format_milliseconds(now_ns - asked_ns)
        text = f'Successfully pulled image "{image}" in {took} ({waited} including waiting). '
        event("Normal", "Pulled", text + f"Image size: {size or _SIZE} bytes.")

    async def _take_turn(self) -> Signal[None] | None:
        """Wait for the pulls before this one, when they go one by one; what to set when this one is done."""
        if not self._serial:
            return None
        before, mine = self._last_in_line, self._runtime.signal()
        self._last_in_line = mine
        if before is not None and not before.is_set:
            await before
        return mine

    def forget(self, pod: JsonObject) -> None:
        """The pod is gone, and with it what is known of its pulls."""
        uid = uid_of(pod)
        for spec in (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]):
            key = (uid, spec.get("image", ""))
            self._backoff.forget(key)
            self._errors.pop(key, None)
