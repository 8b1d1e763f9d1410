"""What is left of an answer when everything that differs from run to run is taken out."""

from __future__ import annotations

import json
import re
from typing import Any

VOLATILE = frozenset(
    (
        "actor_id",
        "driver_agent_http_address",
        "driver_exit_code_time",
        "driver_node_id",
        "end_time",
        "host",
        "id",
        "instance_id",
        "ip",
        "job_id",
        "last_deployed_time_s",
        "log_file_path",
        "node_id",
        "node_instance_id",
        "node_ip",
        "pid",
        "ray_commit",
        "replica_id",
        "session_name",
        "start_time",
        "start_time_s",
        "submission_id",
        "timestamp",
        "worker_id",
    )
)
_FRAME = re.compile(r'\s+(File "|<frames>)')
_TRACEBACK = re.compile(r'Traceback \(most recent call last\)|^ +(File "|<frames>)', re.MULTILINE)
_ERROR_BEFORE_TRACEBACK = re.compile(r" ?\w*(Error|Exception): <traceback> ")
#: Sets and names out of sets, which Python prints in any order.
_SETS = (
    re.compile(r"\{(<[^{}]*>)\}"),
    re.compile(r"\{((?:'[^'{}]*'(?:, )?)+)\}"),
)
_NAMES = re.compile(r'"[^"\n]*"(?:, "[^"\n]*")+')
_PLACEHOLDERS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"SERVE_PROXY_ACTOR-[0-9a-f]+", "SERVE_PROXY_ACTOR-<id>"),
        (r"(Replica\(id=')[a-z0-9]{8}", r"\1<id>"),
        (r"(SERVE_REPLICA::[^#\n]+#[^#\s]+#)[a-z0-9]{8}", r"\1<id>"),
        (r"\b[0-9a-f]{24,}\b", "<hex>"),
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uuid>"),
        (r"raysubmit_\w{16}", "<submission>"),
        (r"\b(pid[=: ]\s*)\d+", r"\1<n>"),
        (r"\bip=[\d.]+", "ip=<ip>"),
        (r"(node IP address is |Node IP: |node_ip=)[\d.]+", r"\1<ip>"),
        (r"at 0x[0-9a-f]+", "at <addr>"),
        (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d([.,]\d+)?", "<time>"),
        (r"[\w./-]*site-packages/", ""),
        (r"/\S*/(serve|session_\S+|logs)/", "<path>/"),
        (r"\x1b\[\d+m", ""),
    )
)
_NODE_KEY = re.compile(r"node:[\d.]+")
_LINK = re.compile(r"\n\s+For further information visit \S+")


def normal_text(text: str) -> str:
    """Placeholders for what is drawn anew in each run; of a traceback what stands before it and the exception at its end."""
    text = _without_frames(_LINK.sub("", text))
    for pattern in _SETS:
        text = pattern.sub(lambda found: "{" + ", ".join(sorted(found[1].split(", "))) + "}", text)
    text = _NAMES.sub(lambda found: ", ".join(sorted(found[0].split(", "))), text)
    for pattern, replacement in _PLACEHOLDERS:
        text = pattern.sub(replacement, text)
    return text


def _without_frames(text: str) -> str:
    begin = _TRACEBACK.search(text)
    if begin is None:
        return text
    lines = [line for line in text.rstrip().split("\n") if line.strip()]
    frames = [index for index, line in enumerate(lines) if _FRAME.match(line)]
    index = frames[-1] + 1 if frames else len(lines) - 1
    while index < len(lines) - 1 and lines[index].startswith(" "):
        index += 1
    end = " | ".join(line.strip() for line in lines[index:]).split("<traceback> ")[-1]
    return _ERROR_BEFORE_TRACEBACK.sub(" <traceback> ", text[: begin.start()].rstrip() + " <traceback> " + end)


def normal(value: Any) -> Any:
    """Normal form of JSON: volatile fields by presence, unordered lists in order, whole numbers as integers."""
    if isinstance(value, dict):
        return {_normal_key(key): _normal_field(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [normal(item) for item in value]
    if isinstance(value, float) and value == int(value):
        return int(value)
    return normal_text(value) if isinstance(value, str) else value


def _normal_key(key: str) -> str:
    """The resource by which a node is meant has its address in its name."""
    return "node:<ip>" if _NODE_KEY.fullmatch(key) else key


def normal_keys(value: Any) -> Any:
    """Of a recorded shape, whose values are types."""
    if isinstance(value, dict):
        return {_normal_key(key): normal_keys(item) for key, item in value.items()}
    return [normal_keys(item) for item in value] if isinstance(value, list) else value


def _normal_field(key: str, value: Any) -> Any:
    if key == "proxies" and isinstance(value, dict):
        return sorted((normal(item) for item in value.values()), key=canonical)
    if key == "controller_health_metrics":
        return sorted(value) if isinstance(value, dict) else value
    if key in VOLATILE:
        if value in (None, ""):
            return None
        return normal(value) if isinstance(value, (dict, list)) else f"<{key}>"
    if key in ("replicas", "recent_dead_replicas", "targets") and isinstance(value, list):
        return sorted((normal(item) for item in value), key=canonical)
    return normal(value)


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
