"""The Serve REST schema accepts, drops and refuses what Ray's does."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from rayrig_core.errors import InputError
from rayrig_core.resources.go_yaml import YamlError, yaml_to_compact_json, yaml_to_json
from rayrig_core.resources.serve_config import parse_serve_config, unknown_fields
from rayrig_core.resources.serve_schema import ServeDeploySchema, set_fields, validate_serve_config


def test_the_first_error_is_told_with_line_field_and_remedy() -> None:
    text = "applications:\n- name: a\n  import_path: m:app\n  deployments:\n  - name: D\n    num_replicas: two\n"
    with pytest.raises(InputError) as caught:
        parse_serve_config(text, "service.yaml", first_line=20)
    assert str(caught.value) == (
        'service.yaml:24 applications[0].deployments[0]: invalid Serve config: `num_replicas` must be an int or "auto", '
        "but got: two (change the value)"
    )


def test_text_that_is_no_yaml_is_told_with_its_line() -> None:
    with pytest.raises(InputError, match=r"^service.yaml:12: not YAML: .* \(mend the YAML text\)$"):
        parse_serve_config("applications:\n- name: a: b\n", "service.yaml", first_line=11)


def test_fields_serve_does_not_know_are_dropped_and_can_be_found() -> None:
    document = {
        "applications": [{"import_path": "m:app", "deployments": [{"name": "D", "max_concurrent_queries": 4}], "x": 1}],
        "y": 2,
    }
    assert set_fields(validate_serve_config(document)) == {
        "applications": [{"import_path": "m:app", "deployments": [{"name": "D"}]}]
    }
    assert unknown_fields(document) == [
        ("applications", 0, "deployments", 0, "max_concurrent_queries"),
        ("applications", 0, "x"),
        ("y",),
    ]


def test_code_the_dashboard_can_import_is_told_by_whoever_owns_it() -> None:
    document = {
        "applications": [
            {
                "import_path": "m:app",
                "deployments": [{"name": "D", "autoscaling_config": {"policy": {"policy_function": "m:policy"}}}],
            }
        ]
    }
    with pytest.raises(ModuleNotFoundError, match="No module named 'm'"):
        validate_serve_config(document)
    assert isinstance(validate_serve_config(document, importable=lambda path: path == "m:policy"), ServeDeploySchema)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{yes: no, on: off, y: n}", {"true": False}),
        ("{1: 1e3, 2.5: 1.50, x: .5}", {"1": 1000, "2.5": 1.5, "x": 0.5}),
        ("[12345678901234567890, 9007199254740993, 0x10, 010, 0b11, 1_000]", None),
        ("[2024-01-01, 12:30:00, ~, null, 'yes', 0]", ["2024-01-01", "12:30:00", None, None, "yes", 0]),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("", None),
    ],
)
def test_yaml_means_what_it_means_to_the_operator(text: str, value: Any) -> None:
    if text.startswith("[123"):
        value = [12345678901234567000, 9007199254740992, 16, 8, 3, 1000]
    assert yaml_to_json(text) == value


def test_compact_json_has_sorted_keys_and_whole_numbers() -> None:
    assert yaml_to_compact_json("b: 2.0\na: [1, ünï]\n") == '{"a":[1,"ünï"],"b":2}'


def test_bad_yaml_names_its_line() -> None:
    with pytest.raises(YamlError, match=r"^yaml: line 2: "):
        yaml_to_json("a:\n  b: c: d\n")


def refusal(document: Any) -> str:
    """The text of a refusal; empty when the document is accepted."""
    try:
        validate_serve_config(document, importable=lambda _: True)
    except ValidationError as error:
        return str(error)
    return ""


def with_deployment(**fields: Any) -> dict[str, Any]:
    return {"applications": [{"import_path": "m:app", "deployments": [{"name": "D", **fields}]}]}


def with_application(**fields: Any) -> dict[str, Any]:
    return {"applications": [{"import_path": "m:app", **fields}]}


@pytest.mark.accepts("SV-031")
@pytest.mark.parametrize(
    ("names", "text"),
    [(["a", "a"], "Found multiple configs for application"), (["a", ""], "Application names must be nonempty.")],
)
def test_names_of_applications_are_their_own(names: list[str], text: str) -> None:
    given = [{"import_path": "m:app", "name": name, "route_prefix": f"/{i}"} for i, name in enumerate(names)]
    assert text in refusal({"applications": given})


@pytest.mark.accepts("SV-032")
def test_an_import_path_names_a_module_and_an_attribute() -> None:
    for path in ("nodots", "a.", ":x", "a:b:c", 7):
        assert refusal({"applications": [{"import_path": path}]}), path
    for path in ("a:b", "a.b", "a..b", "a b:c"):
        assert refusal({"applications": [{"import_path": path}]}) == "", path


@pytest.mark.accepts("SV-033")
def test_an_application_has_no_address_of_its_own() -> None:
    assert refusal(with_application(host="0.0.0.0"))
    assert refusal(with_application(port=8000))


@pytest.mark.accepts("SV-034")
def test_the_number_of_replicas_is_a_positive_integer_or_auto() -> None:
    for number in (0, "2", 1.0, "AUTO"):
        assert refusal(with_deployment(num_replicas=number)), number
    for number in (1, "auto"):
        assert refusal(with_deployment(num_replicas=number)) == "", number
    assert refusal(with_deployment(num_replicas=2, autoscaling_config={}))


@pytest.mark.accepts("SV-035")
def test_limits_of_requests() -> None:
    assert refusal(with_deployment(max_ongoing_requests=0))
    for limit in (0, -2, "1"):
        assert refusal(with_deployment(max_queued_requests=limit)), limit
    assert refusal(with_deployment(max_queued_requests=-1)) == ""


@pytest.mark.accepts("SV-036")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("health_check_period_s", 0),
        ("graceful_shutdown_timeout_s", -1),
        ("rolling_update_percentage", 0),
        ("rolling_update_percentage", 1.1),
    ],
)
def test_periods_and_shares_have_bounds(field: str, value: float) -> None:
    assert field in refusal(with_deployment(**{field: value}))


@pytest.mark.accepts("SV-038")
def test_a_logging_config_knows_its_encodings_and_nothing_else() -> None:
    assert refusal(with_application(logging_config={"encoding": "json"}))
    assert refusal(with_application(logging_config={"encoding": "JSON"})) == ""
    assert refusal(with_application(logging_config={"encodings": "JSON"}))
    assert "encoding.str-enum[EncodingType]" in refusal(with_application(logging_config={"encoding": 1}))
    assert refusal(with_application(logging_config={"additional_log_standard_attrs": ["name", "thread"]})) == ""
    assert "Unknown attribute 'loud'" in refusal(
        with_application(logging_config={"additional_log_standard_attrs": ["name", "loud"]})
    )


@pytest.mark.accepts("SV-039")
def test_a_working_directory_is_remote() -> None:
    for place in ("/tmp/x", ".", "local://x", "local:///srv/app.zip", "local:x", "ftp://h/x.zip"):
        assert refusal(with_application(runtime_env={"working_dir": place})), place
    for place in (
        "https://h/x.zip",
        "s3://b/x.zip",
        "gs://b/x.zip",
        "file:///x.zip",
        "local:///srv/app",
        "local://C:/app",
    ):
        assert refusal(with_application(runtime_env={"working_dir": place})) == "", place


def test_only_the_first_document_is_read() -> None:
    assert yaml_to_json("---\na: 1\n---\n{") == {"a": 1}
    assert yaml_to_json("# nothing\n") is None
