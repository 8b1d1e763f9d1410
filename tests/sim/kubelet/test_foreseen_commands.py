"""What a health command would answer is worked out anew as soon as one of its checks would get another answer."""

from __future__ import annotations

from collections.abc import Mapping

from rayrig_core.http import HttpResponse
from rayrig_sim.kubernetes.kubelet.containers import ExecResult
from rayrig_sim.kubernetes.kubelet.health_commands import Foreseen, run

FETCH = "wget --tries 1 -T 2 -q -O- http://localhost"
COMMAND = [
    "bash",
    "-c",
    f"{FETCH}:52365/api/local_raylet_healthz | grep success && {FETCH}:8000/-/healthz | grep success",
]
GOOD, ALSO_GOOD = HttpResponse.text(200, "success"), HttpResponse.text(200, "success indeed")
BAD, EMPTY = HttpResponse.text(503, "success, hardly"), HttpResponse.text(200, "")


class Server:
    def __init__(self) -> None:
        self.answers: dict[int, HttpResponse | None] = {52365: GOOD, 8000: GOOD}
        self.asked = 0

    def get(self, port: int, path: str) -> HttpResponse | None:
        self.asked += 1
        return self.answers[port]

    async def get_later(self, port: int, path: str, headers: Mapping[str, str], timeout_s: float) -> HttpResponse:
        answer = self.answers[port]
        assert answer is not None
        return answer

    def ran(self) -> ExecResult:
        """What the command answers when it is run."""
        running = run(COMMAND, self.get_later)
        try:
            running.send(None)
        except StopIteration as end:
            result: ExecResult = end.value
            return result
        raise AssertionError("it waited")


def test_it_is_what_the_command_answers_when_it_succeeds_and_nothing_otherwise() -> None:
    server, foreseen = Server(), Foreseen(COMMAND)
    for first in (GOOD, ALSO_GOOD, BAD, EMPTY, GOOD):
        for second in (GOOD, ALSO_GOOD, BAD, EMPTY, GOOD):
            server.answers = {52365: first, 8000: second}
            ran = server.ran()
            for _ in range(2):
                assert foreseen.success(server.get) == (None if ran.exit_code else ran)


def test_what_was_known_is_forgotten_when_an_answer_cannot_be_foreseen() -> None:
    server, foreseen = Server(), Foreseen(COMMAND)
    assert foreseen.success(server.get) == ExecResult(0, "success\nsuccess\n")
    for port, later in ((8000, BAD), (52365, EMPTY)):
        server.answers = {52365: GOOD, 8000: GOOD, port: None}
        assert foreseen.success(server.get) is None
        server.answers[port] = later
        assert foreseen.success(server.get) is None
        server.answers[port] = ALSO_GOOD
        assert foreseen.success(server.get) == server.ran()


def test_of_other_commands_it_knows_nothing_and_asks_nobody() -> None:
    server = Server()
    for command in (
        ["ray", "stop"],
        ["bash", "-c", "ray stop"],
        ["sleep", "1"],
        ["sh", "-c", f"{FETCH}:8000/ && ray stop"],
        [],
    ):
        assert Foreseen(command).success(server.get) is None
    assert server.asked == 0
