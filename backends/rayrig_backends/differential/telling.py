"""A story, told to both servers at once, in a namespace made for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from rayrig_backends.differential.comparing import Answer, Comparison, Difference, notable
from rayrig_backends.differential.grouping import Group, group_of
from rayrig_backends.differential.references import Memory, place
from rayrig_backends.differential.sides import Side, Stream
from rayrig_backends.differential.steps import Step, Story
from rayrig_core.errors import RayrigError
from rayrig_core.objects import JsonObject

_T = TypeVar("_T")
#: How long watches may take to show the same number of events, and new definitions to be served.
_PATIENCE_S = 1.0
_SERVED_S = 10.0
_STEP_S = 0.04
#: What is kept of a prefix from which a name is generated.
_LONGEST_PREFIX = 58
_LETTERS = "bcdfghjklmnpqrstvwxz"
_WORD_LENGTH = 9
#: How many words there are: so many that two stories hardly ever get the same.
WORDS = len(_LETTERS) ** _WORD_LENGTH


class Unreachable(RayrigError):
    """A server does not answer, or does not let us make namespaces."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference in the answer to one step of a story."""

    story: Story
    index: int
    difference: Difference
    group: Group

    @property
    def step(self) -> Step:
        return self.story.steps[self.index]


@dataclass(slots=True)
class Telling:
    """What came of a story."""

    requests: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class _OneSide:
    side: Side
    memory: Memory
    word: str
    streams: dict[int, tuple[Answer, Stream]] = field(default_factory=dict)


class Pair:
    """Both servers. `same` says that they are one, so that names must differ."""

    def __init__(self, left: Side, right: Side, next_word: Callable[[], str], *, same: bool = False) -> None:
        """`next_word`: a word of letters, another one each time."""
        self._left, self._right = left, right
        self._next_word = next_word
        self._same = same
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="side")

    def close(self) -> None:
        self._threads.shutdown(wait=True)

    def tell(self, story: Story, goes_on: Callable[[Finding], bool] = lambda finding: False) -> Telling:
        """Until the first answer with a difference, unless all its differences are such that it `goes_on`.

        Raises `Unreachable`. What the story made is taken away, also when it is interrupted.
        """
        word = self._next_word()
        other = self._next_word() if self._same else word
        pair = (
            _OneSide(self._left, Memory(word, f"diff-{word}"), word),
            _OneSide(self._right, Memory(other, f"diff-{other}"), other),
        )
        telling = Telling()
        try:
            for answer in self._both(pair, _make_namespace):
                if answer.failure or answer.status != 201:
                    told = answer.failure or f"{answer.status} {answer.body[:200].decode('utf-8', 'replace')}"
                    raise Unreachable(f"a namespace for the run cannot be made: {told}")
            self._tell(story, pair, telling, goes_on)
        finally:
            self._both(pair, lambda one: _take_away(one, story))
        return telling

    def _tell(
        self,
        story: Story,
        pair: tuple[_OneSide, _OneSide],
        telling: Telling,
        goes_on: Callable[[Finding], bool],
    ) -> None:
        comparison = Comparison()

        def judge(index: int, left: Answer, right: Answer) -> bool:
            step = story.steps[index]
            found = comparison.of(_plain(left, pair[0].word), _plain(right, pair[1].word))
            findings = [Finding(story, index, each, group_of(step, each)) for each in found]
            telling.findings += findings
            # What was refused on both sides changed nothing: the rest can still be compared.
            return left.status == right.status >= 400 or all(goes_on(each) for each in findings)

        for index, step in enumerate(story.steps):
            left, right = self._both(pair, lambda one, step=step, index=index: _take_step(one, step, index))  # type: ignore[misc]
            telling.requests += 1
            prefix = _generated_from(step)
            if prefix:
                kept = pair[0].memory.fill(prefix)[:_LONGEST_PREFIX]
                comparison.expect_name(kept.replace(pair[0].word, "${u}"))
            if not judge(index, left, right):
                return
        for index in sorted({*pair[0].streams, *pair[1].streams}):
            self._settle(pair, index)
            answers = [_with_events(one, index) for one in pair]
            if not judge(index, *answers):
                return

    def _settle(self, pair: tuple[_OneSide, _OneSide], index: int) -> None:
        """Wait until both watches have shown as much, and then a little for more."""
        before = None
        for _ in range(int(_PATIENCE_S / _STEP_S)):
            counts = [len(notable(one.streams[index][1].events())) if index in one.streams else 0 for one in pair]
            if counts[0] == counts[1] and counts == before:
                return
            before = counts
            for one in pair:
                one.side.wait(_STEP_S)

    def _both(self, pair: tuple[_OneSide, _OneSide], act: Callable[[_OneSide], _T]) -> tuple[_T, _T]:
        left = self._threads.submit(act, pair[0])
        right = self._threads.submit(act, pair[1])
        return left.result(), right.result()


def _generated_from(step: Step) -> str:
    meta = step.body.get("metadata") if isinstance(step.body, dict) else None
    prefix = meta.get("generateName") if isinstance(meta, dict) and not meta.get("name") else None
    return prefix if isinstance(prefix, str) else ""


def word_from(number: int) -> str:
    """Nine consonants: no word of a message, and no hexadecimal number. `number` is below `WORDS`."""
    letters = []
    for _ in range(_WORD_LENGTH):
        number, rest = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[rest])
    return "".join(letters)


def _make_namespace(one: _OneSide) -> Answer:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": one.memory.fill("${ns}")}}
    return one.side.ask("POST", "/api/v1/namespaces", _JSON, json.dumps(body).encode(), "admin")


_JSON = {"content-type": "application/json"}
_MERGE = {"content-type": "application/merge-patch+json"}
_NO_FINALIZERS = b'{"metadata":{"finalizers":null}}'


def _take_step(one: _OneSide, step: Step, index: int) -> Answer:
    fill = one.memory.fill
    headers = {name: fill(value) for name, value in step.headers}
    target = fill(step.target)
    if step.watch:
        head, stream = one.side.watch(step.method, target, headers, step.user)
        if stream is not None:
            one.streams[index] = head, stream
            return Answer(head.status, head.headers, events=())
        return head
    body = None
    if step.text is not None:
        body = fill(step.text).encode("utf-8", "surrogatepass")
    elif step.body is not None:
        body = json.dumps(fill(step.body), separators=(",", ":")).encode()
        headers.setdefault("Content-Type", "application/json")
    answer = one.side.ask(step.method, target, headers, body, step.user)
    if answer.status < 300:
        one.memory.learn(step.path, answer.value())
    if step.until_served and answer.status < 300:
        _wait_until_served(one, fill(step.path), step)
    return answer


def _wait_until_served(one: _OneSide, path: str, step: Step) -> None:
    """A definition's paths appear some time after it is there."""
    wanted = one.memory.fill(step.until_served)
    for _ in range(int(_SERVED_S / _STEP_S)):
        answer = one.side.ask("GET", wanted, {}, None, "admin")
        if answer.status == 200 or answer.failure:
            return
        one.side.wait(_STEP_S)


def _with_events(one: _OneSide, index: int) -> Answer:
    if index not in one.streams:
        return Answer(0, failure="no stream")
    head, stream = one.streams[index]
    return Answer(head.status, head.headers, events=tuple(stream.events()))


def _plain(answer: Answer, word: str) -> Answer:
    """With `${u}` for this side's word."""
    headers = tuple((name, value.replace(word, "${u}")) for name, value in answer.headers)
    events = answer.events
    if events:
        events = tuple(json.loads(json.dumps(events, ensure_ascii=False).replace(word, "${u}")))
    return Answer(answer.status, headers, answer.body.replace(word.encode(), b"${u}"), events, answer.failure)


# Cleaning up


def _take_away(one: _OneSide, story: Story) -> None:
    """The namespace with all that is in it, and what the story made outside of it. Only what holds the story's word is touched."""
    for _, stream in one.streams.values():
        stream.close()
    fill, ask = one.memory.fill, one.side.ask
    if "inalizer" in json.dumps(story.as_json()) or "Foreground" in json.dumps(story.as_json()):
        for path in dict.fromkeys(_collection(step.path) for step in story.steps):
            if "${ns}" in path or "${u}" in path:
                _release(one, fill(path))
    for step in reversed(story.steps):
        path = _made_outside(step)
        if path and one.word in fill(path):
            ask("PATCH", fill(path), _MERGE, _NO_FINALIZERS, "admin")
            ask("DELETE", fill(path), {}, None, "admin")
    ask("DELETE", fill("/api/v1/namespaces/${ns}"), {}, None, "admin")


def _collection(path: str) -> str:
    resource, name = place(path)
    if not resource:
        return ""
    path = path.replace("/watch/", "/")
    return path.split("?")[0].partition(f"/{resource}/{name}")[0] + f"/{resource}" if name else path.split("?")[0]


def _release(one: _OneSide, path: str) -> None:
    """Take the finalizers off what is there."""
    listed = one.side.ask("GET", path, {}, None, "admin").value()
    items = listed.get("items") if isinstance(listed, dict) else None
    for item in items or ():
        meta: JsonObject = item.get("metadata") or {}
        if meta.get("finalizers") and (one.word in str(meta.get("namespace", "")) or one.word in meta["name"]):
            one.side.ask("PATCH", f"{path}/{meta['name']}", _MERGE, _NO_FINALIZERS, "admin")


def _made_outside(step: Step) -> str:
    """Path of an object that the step may have made outside of the namespace; "" when there is none."""
    path = step.path.split("?")[0]
    if "/namespaces/${ns}" in path or step.method not in ("POST", "PUT", "PATCH"):
        return ""
    resource, name = place(path)
    base = _collection(path)
    if not name and isinstance(step.body, dict) and isinstance(step.body.get("metadata"), dict):
        meta = step.body["metadata"]
        name = str(meta.get("name") or "")
        if not name and meta.get("generateName"):
            name = f"${{name:{resource}/{meta['generateName']}}}"
    return f"{base}/{name}" if resource and "${" in name else ""
