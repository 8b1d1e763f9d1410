"""Bodies in protobuf, as Go clients send them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayrig_fakes.kubernetes.protobuf.decoding import Undecodable, decode
from rayrig_fakes.kubernetes.protobuf.encoding import encode
from rayrig_fakes.kubernetes.protobuf.table import MAGIC


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number: int, value: bytes | str | int | bool) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(int(value))
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def body(api_version: str, kind: str, *fields: bytes) -> bytes:
    meta = field(1, api_version) + field(2, kind)
    return MAGIC + field(1, meta) + field(2, b"".join(fields)) + field(3, "") + field(4, "")


# What kubectl 1.37 sent for `create configmap a --from-literal=x=1`.
CREATE_CONFIG_MAP = bytes.fromhex(
    "6b3873000a0f0a0276311209436f6e6669674d6170121b0a110a016112001a0022002a00320038004200120" + "60a01781201311a002200"
)


def test_what_kubectl_sends_is_read_and_empty_fields_are_left_out():
    assert decode(CREATE_CONFIG_MAP) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a"},
        "data": {"x": "1"},
    }


def test_every_kind_of_value():
    port = field(1, "web") + field(2, "TCP") + field(3, 80) + field(4, field(1, 1) + field(3, "http")) + field(5, 0)
    other = field(3, 81) + field(4, field(1, 0) + field(2, 8080))
    spec = field(1, port) + field(1, other) + field(2, field(1, "app") + field(2, "x")) + field(13, False)
    assert decode(body("v1", "Service", field(2, spec))) == {
        "apiVersion": "v1",
        "kind": "Service",
        "spec": {
            "ports": [
                {"name": "web", "protocol": "TCP", "port": 80, "targetPort": "http"},
                {"port": 81, "targetPort": 8080},
            ],
            "selector": {"app": "x"},
        },
    }


def test_quantities_bytes_times_and_what_lies_in_its_parent():
    requests = field(2, field(1, "cpu") + field(2, field(1, "500m")))
    probe = field(1, field(2, field(1, "/ready") + field(2, field(2, 8000)))) + field(2, 0) + field(4, 5)
    container = field(1, "c") + field(8, requests) + field(11, probe)
    volume = field(1, "v") + field(2, field(2, b""))
    pod = decode(body("v1", "Pod", field(2, field(1, volume) + field(2, container) + field(4, 0))))
    assert pod is not None
    assert pod["spec"] == {
        "volumes": [{"name": "v", "emptyDir": {}}],
        "containers": [
            {
                "name": "c",
                "resources": {"requests": {"cpu": "500m"}},
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 8000}, "periodSeconds": 5},
            }
        ],
        # Zero is a value where JSON has a pointer.
        "terminationGracePeriodSeconds": 0,
    }

    secret = decode(body("v1", "Secret", field(2, field(1, "k") + field(2, b"\x00\xff"))))
    assert secret is not None
    assert secret["data"] == {"k": "AP8="}

    lease = decode(
        body("coordination.k8s.io/v1", "Lease", field(2, field(3, field(1, 1_767_225_600) + field(2, 5000))))
    )
    assert lease is not None
    assert lease["spec"]["acquireTime"] == "2026-01-01T00:00:00.000005Z"


def test_negative_numbers():
    priority = decode(body("scheduling.k8s.io/v1", "PriorityClass", field(2, -7)))
    assert priority is not None
    assert priority["value"] == -7


def test_a_kind_without_a_protobuf_form_is_none():
    assert decode(body("golden.example.com/v1", "Widget")) is None


@pytest.mark.parametrize(
    "broken", [b"", b"{}", MAGIC + b"\xff", CREATE_CONFIG_MAP[:-1], MAGIC + b"\x0b", MAGIC + field(1, 5)]
)
def test_what_is_broken_is_said_to_be(broken):
    with pytest.raises(Undecodable):
        decode(broken)


@given(st.binary(max_size=64), st.integers(0, 60))
def test_no_bytes_at_all_do_anything_else(noise, place):
    damaged = CREATE_CONFIG_MAP[:place] + noise + CREATE_CONFIG_MAP[place + len(noise) :]
    with contextlib.suppress(Undecodable):
        decode(damaged)


def test_a_client_may_send_protobuf_and_take_json(cluster):
    headers = {
        "content-type": "application/vnd.kubernetes.protobuf",
        "accept": "application/vnd.kubernetes.protobuf,application/json",
    }
    answer = cluster.client.post(cluster.path("configmaps"), content=CREATE_CONFIG_MAP, headers=headers)
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["data"] == {"x": "1"}
    broken = cluster.client.post(cluster.path("configmaps"), content=b"nothing", headers=headers)
    assert broken.status_code == 400


ONLY = {"accept": "application/vnd.kubernetes.protobuf"}


def test_what_is_written_is_read_again():
    obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "labels": {"a": "b"}, "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 2},
        "spec": {
            "volumes": [{"name": "v", "secret": {"secretName": "s", "defaultMode": 0}}],
            "containers": [
                {
                    "name": "c",
                    "env": [
                        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k", "optional": False}}}
                    ],
                    "resources": {"limits": {"cpu": "1500m"}},
                    "livenessProbe": {"tcpSocket": {"port": "web"}, "periodSeconds": 3},
                }
            ],
            "priority": -1,
        },
    }
    written = encode(obj)
    assert written is not None
    assert decode(written) == obj


@pytest.mark.accepts("K8-009")
def test_a_client_may_take_nothing_but_protobuf(cluster):
    created = cluster.config_map("a", x="1").json()
    answer = cluster.client.get(cluster.path("configmaps", "a"), headers=ONLY)
    assert (answer.status_code, answer.headers["content-type"]) == (200, ONLY["accept"])
    created["metadata"].pop("managedFields")
    read = decode(answer.content)
    assert read is not None
    read["metadata"].pop("managedFields")
    assert read == created

    missing = cluster.client.get(cluster.path("configmaps", "none"), headers=ONLY)
    refused = decode(missing.content)
    assert refused is not None
    assert (missing.status_code, refused["kind"], refused["reason"]) == (404, "Status", "NotFound")

    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert cluster.client.get(definitions, headers=ONLY).status_code == 406
    assert cluster.client.get(cluster.path("configmaps"), headers=ONLY).content.startswith(MAGIC)


@pytest.mark.parametrize("path", ["/openapi/v3/api/v1", "/version", "/healthz", "/apis/apps"])
def test_who_takes_protobuf_alone_gets_an_answer_without_a_body_too(cluster, path):
    answer = cluster.client.delete(path, headers={"accept": "application/vnd.kubernetes.protobuf"})
    assert answer.status_code < 500
