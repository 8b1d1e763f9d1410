"""What the dashboard is sent of a submission."""

from __future__ import annotations

import json
import math
import re

from rayrig.apiserver.job_submission.go_kinds import go_kind
from rayrig.apiserver.wire.errors import plain
from rayrig.apiserver.wire.floats import json_number
from rayrig_core.objects import JsonObject
from rayrig_core.resources.go_yaml import YamlError, yaml_to_json

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def request_body(submission: JsonObject) -> JsonObject:
    """Raises `CallError`: `runtimeEnv` isn't a YAML mapping, or an amount in `entrypointResources` no number."""
    body: JsonObject = {
        "runtime_env": _runtime_env(submission.get("runtimeEnv", "")),
        "metadata": submission.get("metadata"),
        "entrypoint_resources": {
            name: _amount(text) for name, text in submission.get("entrypointResources", {}).items()
        },
        "submission_id": submission.get("submissionId"),
        "entrypoint_num_cpus": json_number(max(submission.get("entrypointNumCpus", 0.0), 0.0)),
        "entrypoint_num_gpus": json_number(max(submission.get("entrypointNumGpus", 0.0), 0.0)),
    }
    return {
        **{name: value for name, value in body.items() if value},
        "entrypoint": submission.get("entrypoint", ""),
    }


def _runtime_env(text: str) -> JsonObject:
    try:
        value = yaml_to_json(text)
    except YamlError as error:
        raise plain(str(error)) from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise plain(f"json: cannot unmarshal {go_kind(value)} into Go value of type map[string]interface {{}}")
    return value


def _amount(text: str) -> float:
    """A decimal number of 32 bits."""
    why = "invalid syntax"
    if _DECIMAL.fullmatch(text) is not None:
        value = float(text)
        try:
            if not math.isinf(value):
                return json_number(value)
        except OverflowError:
            pass
        why = "value out of range"
    raise plain(f"strconv.ParseFloat: parsing {json.dumps(text, ensure_ascii=False)}: {why}")
