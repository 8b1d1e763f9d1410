"""A short run of the fuzzer against a server in a thread, and what the fuzzer takes for a finding."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import pytest

from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread
from rayrig_core.resource_types import NAMESPACE
from rayrig_fakes.kubernetes.identity import UserInfo
from tests.fuzz.http_cases import TOKEN, Case, Cases
from tests.fuzz.kubernetes_http import Findings, ask, memory_verdict, prepare, replay, send

_CASES, _CLIENTS = 400, 4


@pytest.mark.accepts("K8-013")
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_found(seed: int) -> None:
    users = {TOKEN: UserInfo("fuzz", "u1", ("system:masters",))}
    findings = Findings()
    problems: list[str] = []
    supply = Cases(Random(seed))
    cases = iter([supply.next() for _ in range(_CASES)])

    async def client(port: int) -> None:
        for case in cases:
            findings.sent[case.kind] += 1
            if (problem := await send(case, port, findings)) is not None:
                problems.append(f"{case.kind}: {problem}: {case.chunks!r:.400}")

    async def story(port: int) -> int:
        await prepare(port)
        await asyncio.gather(*(client(port) for _ in range(_CLIENTS)))
        return (await ask(port, "GET", "/api/v1/namespaces/default")).code

    with KubernetesThread(KubernetesOptions(users=users, authorization="RBAC")) as thread:
        assert asyncio.run(story(thread.served.port)) == 200
        assert thread.ask(lambda api: api.object(NAMESPACE, "fuzz-0")) is not None
    assert problems == []
    assert findings.sent.total() == _CASES
    # The cases reach far into the server: everything it can say has been said.
    assert {200, 201, 400, 404, 405, 406, 409, 413, 415, 422} <= set(findings.codes)


def test_one_seed_gives_the_same_cases() -> None:
    def first(seed: int) -> list[Case]:
        cases = Cases(Random(seed))
        return [cases.next() for _ in range(60)]

    assert first(1) == first(1)
    assert first(1) != first(2)
    assert [Case.from_json(json.loads(json.dumps(case.to_json()))) for case in first(1)] == first(1)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def judged(response: bytes, case: Case | None = None) -> str | None:
    """What the fuzzer says of a server that answers so."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(response)
        await writer.drain()
        writer.close()

    async def story() -> str | None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            return await send(case or Case("test", (b"GET / HTTP/1.1\r\n\r\n",)), server.sockets[0].getsockname()[1])

    return asyncio.run(story())


def response(code: int, body: bytes, kind: str = "application/json") -> bytes:
    return f"HTTP/1.1 {code} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def test_what_counts_as_a_finding() -> None:
    assert judged(response(200, b'{"a": 1}')) is None
    assert judged(b"") is None, "closing the connection is an answer"
    assert "answered 500" in str(judged(response(500, b"oops", "text/plain")))
    broken = b'{"kind":"Status","code":500,"reason":"InternalError","message":"Internal error occurred: oops"}'
    assert "answered 500" in str(judged(response(500, broken)))
    assert "no JSON" in str(judged(response(200, b'{"a": ')))
    assert "not a Status" in str(judged(response(404, b'{"a": 1}')))
    assert "another code" in str(judged(response(404, b'{"kind": "Status", "code": 403}')))
    assert "no HTTP response" in str(judged(b"hello\r\n\r\n"))
    assert "half a body" in str(judged(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"))
    right = response(
        500, b'{"kind":"Status","code":500,"message":"resourceVersion should not be set on objects to be created"}'
    )
    assert judged(right) is None


def test_memory_that_has_come_to_rest_is_no_finding() -> None:
    assert memory_verdict([(float(at), 50.0 + min(at, 100)) for at in range(600)]) is None
    assert "memory grows" in str(memory_verdict([(float(at), 50.0 + at) for at in range(600)]))


def test_an_input_is_sent_again_from_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class At:
        port: int

    file = tmp_path / "case.json"
    file.write_text(json.dumps({**Case("test", (b"GET /readyz HTTP/1.1\r\n\r\n",)).to_json(), "problem": "was slow"}))
    with KubernetesThread(KubernetesOptions(controllers=False)) as thread:
        At.port = thread.served.port
        assert asyncio.run(replay(At, [file]))  # type: ignore[arg-type]
    assert capsys.readouterr().out == f"{file}: good\n"
