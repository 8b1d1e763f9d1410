"""Draws documents from the schema of Serve's REST API with hypothesis and keeps them: `python -m tests.real_ray.draw_stories`.

What the schema allows is drawn field by field; some values are then replaced by odd ones. Where a value would make a real Ray
slow or would reach beyond the cluster, it is drawn from a short list instead.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rayrig_core.objects import JsonObject
from rayrig_core.resources.serve_schema import ServeDeploySchema

DRAWN = Path(__file__).parent / "stories" / "drawn.json"
_COUNT = 66

_ODD = st.sampled_from(
    [None, "", "7", "word", -1, 0, 0.5, 3.0, 101, True, [], {}, {"a": 1}, [1], {"working_dir": "/tmp"}]
)
#: Fields by name, whatever the schema says of them.
_CHOSEN: dict[str, st.SearchStrategy[Any]] = {
    "import_path": st.sampled_from(
        [
            "words.app",
            "words.app",
            "words:other",
            "words.pair",
            "words.pair",
            "words.build",
            "words.TEXT",
            "broken.app",
            "a:b",
        ]
    ),
    "route_prefix": st.sampled_from(["/", "/", "/a", "/a/b", None, "/a/", "/{x}"]),
    "num_replicas": st.sampled_from([1, 2, 3]),
    "user_config": st.sampled_from([None, {}, {"word": "configured"}, {"word": "configured"}, {"fail": "to"}]),
    "args": st.sampled_from([{}, {"word": "built"}]),
    "runtime_env": st.sampled_from([{}, {}, {"env_vars": {"A": "b"}}]),
    "graceful_shutdown_wait_loop_s": st.sampled_from([0, 0.1, 1]),
    "graceful_shutdown_timeout_s": st.sampled_from([0, 1, 2.5]),
    "health_check_period_s": st.sampled_from([0.5, 2, 10]),
    "health_check_timeout_s": st.sampled_from([1, 5.5, 30]),
    "num_cpus": st.sampled_from([0, 0.1, 1]),
    "num_gpus": st.just(0),
    "memory": st.sampled_from([0, 1000]),
    "initial_replicas": st.sampled_from([None, 0, 1, 2]),
    "min_replicas": st.sampled_from([0, 1, 2]),
    "max_replicas": st.sampled_from([1, 2, 3]),
    "max_queued_requests": st.sampled_from([-1, 1, 5]),
    "max_replicas_per_node": st.sampled_from([0, 1, 5]),
    "name": st.sampled_from(["default", "a", "a b"]),
    "log_level": st.sampled_from(["INFO", "DEBUG", 10]),
    "encoding": st.sampled_from(["TEXT", "JSON"]),
    "additional_log_standard_attrs": st.sampled_from([[], ["name"], ["thread", "thread"], ["loudness"]]),
    "aggregation_function": st.sampled_from(["mean", "max"]),
    "placement_group_strategy": st.just("PACK"),
}
_DEPLOYMENT_NAMES = st.sampled_from(["Word", "Word", "Front", "Nobody"])
#: They name code, files, machines or sockets, or take a start of Serve to count.
_LEFT_OUT = frozenset(
    (
        "accelerator_type", "autoscaling_policy", "controller_options", "deployment_actors", "fallback_strategy",
        "gang_scheduling_config", "grpc_options", "host", "http_options", "label_selector", "logs_dir",
        "placement_group_bundle_label_selector", "placement_group_bundles", "policy", "port", "proxy_location",
        "request_router_config", "resources", "tracing_config",
    )
)  # fmt: skip


@st.composite
def documents(draw: st.DrawFn) -> JsonObject:
    """What may be PUT, or not quite."""
    schema = ServeDeploySchema.model_json_schema()
    # What was chosen from a list is shared.
    document: JsonObject = json.loads(json.dumps(draw(_of(schema, schema["$defs"], "document"))))
    applications = document["applications"]
    for number, application in enumerate(applications):
        if len(applications) > 1 and draw(st.integers(0, 3)):
            application |= {"name": f"app{number}", "route_prefix": f"/{number}"}
        for deployment in application.get("deployments") or ():
            deployment["name"] = draw(_DEPLOYMENT_NAMES)
    if draw(st.integers(0, 3)) == 0:
        place = draw(st.sampled_from(list(_places(document))))
        _replace(document, place, draw(_ODD))
    return document


def _of(schema: JsonObject, definitions: JsonObject, name: str) -> st.SearchStrategy[Any]:
    """Values that the schema describes."""
    if name in _CHOSEN:
        return _CHOSEN[name]
    if "$ref" in schema:
        return _of(definitions[schema["$ref"].rpartition("/")[2]], definitions, name)
    if "anyOf" in schema:
        # Where a model says what an object holds, it holds that.
        options = [each for each in schema["anyOf"] if "additionalProperties" not in each]
        return st.one_of([_of(each, definitions, name) for each in options])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {})
            required = schema.get("required", ())
            each = {field: _of(fields[field], definitions, field) for field in fields if field not in _LEFT_OUT}
            return st.fixed_dictionaries(
                {field: drawn for field, drawn in each.items() if field in required},
                optional={field: drawn for field, drawn in each.items() if field not in required},
            )
        case "array":
            return st.lists(_of(schema["items"], definitions, ""), max_size=2)
        case "integer":
            return st.integers(max(schema.get("minimum", -3), schema.get("exclusiveMinimum", -4) + 1), 7)
        case "number":
            low = max(schema.get("minimum", 0), schema.get("exclusiveMinimum", 0))
            return st.integers(1, 8).map(lambda eighths: low + eighths * min(schema.get("maximum", 8), 8) / 8)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    return st.sampled_from(["", "word"])


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        return found + [place for key in value for place in _places(value[key], (*path, key))]
    if isinstance(value, list):
        return found + [place for index, each in enumerate(value) for place in _places(each, (*path, index))]
    return found


def _replace(value: Any, place: tuple[Any, ...], by: Any) -> None:
    for part in place[:-1]:
        value = value[part]
    value[place[-1]] = by


def drawn_documents(count: int) -> list[JsonObject]:
    """The first different ones."""
    found: dict[str, JsonObject] = {}

    @settings(
        derandomize=True,
        database=None,
        max_examples=8 * count,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(documents())
    def collect(document: JsonObject) -> None:
        if document["applications"]:
            found.setdefault(json.dumps(document, sort_keys=True), document)

    collect()
    # Spread over what was drawn: it begins with the simplest.
    every = list(found.values())
    return every[:: max(1, len(every) // count)][:count]


def main() -> None:
    stories = [
        {
            "name": f"drawn {number}",
            "asks": [{"method": "PUT", "body": document}, {"method": "GET", "to": "proxy", "path": "/0"}],
        }
        for number, document in enumerate(drawn_documents(_COUNT), 1)
    ]
    lines = ",\n".join(json.dumps(story, ensure_ascii=False) for story in stories)
    DRAWN.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
