"""A real Ray, started by us: the model against it, scenarios on it, and what becomes of it when its head dies."""

from __future__ import annotations

import json
import os
import shutil
import time

import pytest

from rayrig_backends.dashboard_differential.sides import HttpSide
from rayrig_backends.dashboard_differential.stories import Ask
from rayrig_backends.dashboard_differential.telling import tell
from rayrig_backends.real_ray.local import RealRay
from rayrig_backends.real_ray.world import RealRayWorld
from rayrig_scenarios.language.load import load
from rayrig_scenarios.results import Verdict
from rayrig_scenarios.runner import run
from tests.real_ray.telling import HERE, differences, recorded, settings, stories

pytestmark = pytest.mark.ray
#: Stories are told for so long, and until there are thirty, and what takes minutes is left out; 0: all of them, and nothing is.
_SECONDS = float(os.environ.get("RAYRIG_RAY_SECONDS", "0"))


def test_model_and_real_ray_give_the_same(real_ray: RealRay) -> None:
    took_s = {name: entry[0] for name, entry in recorded().items()}
    side = HttpSide(real_ray.url, real_ray.proxy_url)
    ends_s = time.monotonic() + _SECONDS
    told = 0
    found = []
    # The quick ones first.
    for story in sorted(stories(), key=lambda story: took_s[story.name]):
        if _SECONDS and time.monotonic() > ends_s and told >= 30:
            break
        # What does not come again is the machine's doing.
        found += differences(story, tell(side, story)) and differences(story, tell(side, story))
        told += sum(ask.method == "PUT" for ask in story.asks)
    assert [finding.as_json() for finding in found] == []
    assert told >= 30


@pytest.mark.parametrize(
    "name",
    [
        "words-in-place",
        pytest.param("words-head-crash", marks=pytest.mark.skipif(_SECONDS > 0, reason="takes two minutes")),
    ],
)
def test_a_rayservice_is_reconciled_with_a_real_ray(can_run_ray: None, name: str) -> None:
    scenario = load(str(HERE / "scenarios" / f"{name}.yaml"))
    result = run(scenario, world_factory=lambda spec: RealRayWorld(spec, settings()))
    assert [(record.title, record.detail) for record in result.expectations if record.verdict is not Verdict.PASS] == []
    assert result.verdict is Verdict.PASS


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_with_redis_applications_come_back_after_the_head(can_run_ray: None) -> None:
    with RealRay(settings(redis=True)) as ray:
        side = HttpSide(ray.url, ray.proxy_url)
        put = Ask("PUT", body={"applications": [{"name": "a", "import_path": "words.app"}]})
        assert side.ask(put) is not None
        _wait_until_running(side)
        ray.kill_head()
        assert side.ask(Ask("GET")) is None
        ray.start_head()
        # Nobody has PUT it again.
        _wait_until_running(side)


def _wait_until_running(side: HttpSide) -> None:
    ends_s = time.monotonic() + 60
    status = None
    while time.monotonic() < ends_s:
        answer = side.ask(Ask("GET"))
        if answer is not None and answer.status == 200:
            status = json.loads(answer.body)["applications"].get("a", {}).get("status")
            if status == "RUNNING":
                return
        time.sleep(0.2)
    pytest.fail(f"application a is {status}")
