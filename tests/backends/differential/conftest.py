"""Two fakes behind the differential mode, without sockets, one of which may be broken on purpose."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import Any

import pytest

from rayrig_backends.differential.campaign import Outcome, Plan, run
from rayrig_backends.differential.comparing import Answer
from rayrig_backends.differential.sides import USER_AGENT, Stream
from rayrig_backends.differential.steps import Step, Story
from rayrig_backends.differential.telling import Pair, word_from
from rayrig_core.http import HttpRequest
from rayrig_core.objects import Json
from rayrig_core.timestamps import NS
from rayrig_fakes.kubernetes.rest.handler import WatchResponse, handle
from rayrig_fakes.kubernetes.server import ApiServer

START_NS = 1_767_225_600 * NS


@dataclass
class Break:
    """What a broken server does to what it would answer."""

    answer: Callable[[str, str, Answer], Answer] = lambda method, target, answer: answer
    event: Callable[[Any], bool] = lambda event: True


class FakeSide:
    """A fake with its own clock, seed and count of earlier writes."""

    def __init__(self, seed: int, broken: Break) -> None:
        self._now_ns = START_NS + seed * NS
        self.server = ApiServer(lambda: self._now_ns, Random(seed))
        self._broken = broken
        for number in range(seed):
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"earlier-{number}"}}
            self.ask("POST", "/api/v1/namespaces/default/configmaps", {}, json.dumps(body).encode(), "admin")

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, user: str) -> Answer:
        answer = self._handled(method, target, headers, body)
        assert not isinstance(answer, WatchResponse)
        whole = Answer(answer.status, tuple(answer.headers), answer.body)
        return self._broken.answer(method, target, whole)

    def watch(self, method: str, target: str, headers: Mapping[str, str], user: str) -> tuple[Answer, Stream | None]:
        answer = self._handled(method, target, headers, None)
        if isinstance(answer, WatchResponse):
            return Answer(answer.status, tuple(answer.headers)), FakeStream(answer, self._broken.event)
        return Answer(answer.status, tuple(answer.headers), answer.body), None

    def wait(self, seconds: float) -> None:
        self._now_ns += round(seconds * NS)

    def _handled(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Any:
        sent = {"user-agent": USER_AGENT, **{name.lower(): value for name, value in headers.items()}}
        self._now_ns += NS // 3
        return handle(self.server, HttpRequest.of(method, target, headers=sent, body=body or b""))


class FakeStream:
    def __init__(self, watch: WatchResponse, wanted: Callable[[Any], bool]) -> None:
        self._watch = watch
        self._wanted = wanted
        self._events: list[Json] = []

    def events(self) -> list[Json]:
        found = [json.loads(line) for line in self._watch.lines()]
        self._events += [event for event in found if self._wanted(event)]
        return list(self._events)

    @property
    def ended(self) -> bool:
        return self._watch.is_ended

    def close(self) -> None:
        self._watch.close()


class Laboratory:
    """Holds a fake against another one."""

    def __init__(self) -> None:
        self.pairs: list[Pair] = []

    def pair(self, broken: Break | None = None) -> Pair:
        numbers = count(1)
        sides = FakeSide(2, Break()), FakeSide(5, broken or Break())
        pair = Pair(*sides, lambda: word_from(next(numbers)))
        self.pairs.append(pair)
        return pair

    def outcome(self, stories: Iterator[Story] | list[Story], broken: Break | None = None, **plan: Any) -> Outcome:
        outcome = Outcome()
        run(self.pair(broken), stories, Plan(**plan), outcome)
        return outcome


@pytest.fixture
def laboratory() -> Iterator[Laboratory]:
    laboratory = Laboratory()
    yield laboratory
    for pair in laboratory.pairs:
        pair.close()


def with_body(answer: Answer, change: Callable[[Any], None]) -> Answer:
    """The answer with a change to its JSON body."""
    body = json.loads(answer.body)
    change(body)
    return replace(answer, body=json.dumps(body).encode())


def tell(*steps: Step) -> Story:
    return Story("by hand", 0, steps)
