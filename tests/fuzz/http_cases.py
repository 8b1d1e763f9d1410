"""What a fuzzer sends: cases of bytes, drawn from a seed. Pure: no sockets, no clock.

A case is data that can be written to a file and sent again. Most are requests that were right before something in them was changed,
because those get furthest; the others break HTTP itself.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, Literal, TypeAlias
from urllib.parse import quote

from tests.fuzz.corpus import (
    ACCEPTS,
    NAMESPACES,
    NONRESOURCE,
    ODD,
    ODD_KEYS,
    PATCHES,
    QUERY,
    RESOURCES,
    SUBRESOURCES,
    TYPES,
    Resource,
)

#: What the client does after its last byte: read answers, go at once, or end its half and read.
Ending: TypeAlias = Literal["read", "close", "half-close"]

TOKEN = "fuzz-token"


@dataclass(frozen=True, slots=True)
class Case:
    """Bytes for one connection, sent chunk by chunk with `pause_s` between them.

    `answers` responses (or the end of the connection) must come within the time limit; 0 means that the server may wait for more.
    A stream is left after `leave_after_s`.
    """

    kind: str
    chunks: tuple[bytes, ...]
    answers: int = 1
    ending: Ending = "read"
    pause_s: float = 0.0
    leave_after_s: float = 0.0
    #: Answers to HEAD have no body.
    head: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "chunks": [base64.b64encode(chunk).decode() for chunk in self.chunks],
            "answers": self.answers,
            "ending": self.ending,
            "pause_s": self.pause_s,
            "leave_after_s": self.leave_after_s,
            "head": self.head,
        }

    @classmethod
    def from_json(cls, read: dict[str, Any]) -> Case:
        chunks = tuple(base64.b64decode(chunk) for chunk in read.pop("chunks"))
        return cls(chunks=chunks, **read)


_DEEP = 3000


@cache
def _bomb() -> bytes:
    """Small until it is unpacked."""
    return gzip.compress(b" " * 20_000_000, mtime=0)


class Cases:
    """An endless supply of cases; the same for the same seed."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        makers: tuple[tuple[int, Callable[[], Case]], ...] = (
            (30, self._changed_object),
            (12, self._plain_request),
            (8, self._patch),
            (8, self._watch),
            (5, self._pipeline),
            (5, self._changed_bytes),
            (4, self._broken_http),
            (4, self._half_request),
            (3, self._odd_encoding),
            (3, self._random_bytes),
            (3, self._chunked),
            (2, self._huge_headers),
            (2, self._slow),
            (2, self._protobuf),
            (1, self._huge_body),
            (1, self._deep_body),
            (1, self._yaml),
        )
        self._makers = [maker for _, maker in makers]
        self._weights = [weight for weight, _ in makers]

    def next(self) -> Case:
        (make,) = self._rng.choices(self._makers, self._weights)
        return make()

    # Parts

    def _one(self, *choices: Any) -> Any:
        return self._rng.choice(choices)

    def _name(self) -> str:
        return self._one("a", "b", "c", "d")

    def _object(self, resource: Resource) -> dict[str, Any]:
        group = resource.prefix.removeprefix("/apis/").removeprefix("/api/")
        name = self._name()
        if resource.kind == "CustomResourceDefinition":
            name = "widgets.fuzz.example.com"
        elif resource.kind == "Namespace":
            name = self._one(*NAMESPACES)
        meta: dict[str, Any] = {"name": name, "labels": {"app": self._one("a", "b")}}
        if self._rng.random() < 0.1:
            meta["finalizers"] = ["fuzz.example.com/f"]
        if self._rng.random() < 0.1:
            meta["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "u"}]
        return {"apiVersion": group, "kind": resource.kind, "metadata": meta, **json.loads(json.dumps(resource.body))}

    def _query(self, chance: float = 0.4) -> str:
        pairs = []
        while self._rng.random() < chance:
            name = self._one(*QUERY)
            pairs.append(f"{name}={quote(self._one(*QUERY[name]), safe='%')}")
        return "?" + "&".join(pairs) if pairs else ""

    def _target(self, resource: Resource, name: str = "") -> str:
        path = resource.path(self._one(*NAMESPACES))
        if name:
            path += f"/{quote(name, safe='')}"
            if self._rng.random() < 0.2:
                path += f"/{self._one(*SUBRESOURCES)}"
        return path + self._query()

    def _request(self, method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
        sent = {"host": "fuzz", "authorization": f"Bearer {TOKEN}"}
        if body or method in ("POST", "PUT", "PATCH"):
            sent["content-length"] = str(len(body))
            sent["content-type"] = "application/json"
        if self._rng.random() < 0.2:
            sent["accept"] = self._one(*ACCEPTS)
        if self._rng.random() < 0.1:
            sent["user-agent"] = self._one("kubectl/v1.37", "x" * 300, "/", "é")
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("utf-8", "replace") + body

    def _changed(self, value: Any) -> Any:
        """The value with one to three places in it changed."""
        for _ in range(self._rng.randint(1, 3)):
            value = self._change(value)
        return value

    def _change(self, value: Any) -> Any:
        rng = self._rng
        if rng.random() < 0.15 or not isinstance(value, dict | list) or not value:
            return self._one(*ODD)
        if isinstance(value, list):
            changed = list(value)
            at = rng.randrange(len(changed))
            how = rng.random()
            if how < 0.2:
                del changed[at]
            elif how < 0.4:
                changed.append(changed[at])
            else:
                changed[at] = self._change(changed[at])
            return changed
        changed_object = dict(value)
        key = self._one(*changed_object)
        how = rng.random()
        if how < 0.15:
            del changed_object[key]
        elif how < 0.35:
            changed_object[self._one(*ODD_KEYS)] = self._one(*ODD)
        else:
            changed_object[key] = self._change(changed_object[key])
        return changed_object

    def _text(self, value: Any) -> bytes:
        return json.dumps(value).encode()

    # Cases

    def _changed_object(self) -> Case:
        resource = self._one(*RESOURCES)
        body = self._object(resource)
        method = self._one("POST", "POST", "POST", "PUT")
        name = str(body["metadata"]["name"]) if method == "PUT" else ""
        if self._rng.random() < 0.75:
            body = self._changed(body)
        return Case("changed object", (self._request(method, self._target(resource, name), self._text(body)),))

    def _plain_request(self) -> Case:
        if self._rng.random() < 0.15:
            target = self._one(*NONRESOURCE)
            return Case("plain request", (self._request(self._one("GET", "GET", "POST", "DELETE"), target),))
        resource = self._one(*RESOURCES)
        method = self._one("GET", "GET", "GET", "DELETE", "DELETE", "HEAD", "OPTIONS", "TRACE", "FOO")
        name = self._one("", self._name(), "é", "..", "a b", "%2e%2e", "x" * 260)
        options = b""
        if method == "DELETE" and self._rng.random() < 0.3:
            kinds = {
                "kind": "DeleteOptions",
                "apiVersion": "v1",
                "preconditions": {"uid": "u"},
                "propagationPolicy": "Orphan",
            }
            options = self._text(self._changed(kinds))
        return Case(
            "plain request", (self._request(method, self._target(resource, name), options),), head=method == "HEAD"
        )

    def _patch(self) -> Case:
        resource = self._one(*RESOURCES)
        kind = self._one(*PATCHES)
        body: Any
        if kind == "application/json-patch+json":
            paths = (
                "",
                "/",
                "/metadata/labels/x",
                "/spec",
                "/spec/containers/0",
                "/spec/containers/-",
                "/metadata/name",
                "/~2",
                "/a/b",
            )
            body = [
                {
                    "op": self._one("add", "remove", "replace", "move", "copy", "test", "x"),
                    "path": self._one(*paths),
                    "from": self._one(*paths),
                    "value": self._one(*ODD),
                }
                for _ in range(self._rng.randint(0, 4))
            ]
            if self._rng.random() < 0.3:
                body = self._changed(body)
        else:
            body = self._changed(self._object(resource))
        target = f"{resource.path(self._one(*NAMESPACES))}/{self._name()}"
        query = self._query() or self._one("", "?fieldManager=m", "?fieldManager=m&force=true")
        return Case("patch", (self._request("PATCH", target + query, self._text(body), content_type=kind),))

    def _watch(self) -> Case:
        resource = self._one(*RESOURCES)
        path = self._one(resource.path(self._one(*NAMESPACES)), resource.path())
        query = self._query(0.5).lstrip("?")
        target = f"{path}?watch={self._one('1', 'true')}&timeoutSeconds={self._one(1, 1, 2, 60)}&{query}"
        chunk = self._request("GET", target)
        leave = self._one(0.0, 0.01, 0.1, 0.5)
        return Case("watch", (chunk,), ending="close" if leave == 0 else "read", leave_after_s=leave)

    def _pipeline(self) -> Case:
        requests = []
        for _ in range(self._rng.randint(2, 8)):
            resource = self._one(*RESOURCES)
            if self._rng.random() < 0.5:
                requests.append(self._request("GET", f"{resource.path(NAMESPACES[0])}/{self._name()}"))
            else:
                body = self._text(self._object(resource))
                requests.append(self._request("POST", f"{resource.path(NAMESPACES[0])}?dryRun=All", body))
        data = b"".join(requests)
        cut = self._rng.randrange(1, len(data))
        return Case("pipeline", (data[:cut], data[cut:]), answers=len(requests))

    def _changed_bytes(self) -> Case:
        """A right request with some bytes replaced, taken out or put in."""
        resource = self._one(*RESOURCES)
        data = bytearray(self._request("POST", resource.path(NAMESPACES[0]), self._text(self._object(resource))))
        for _ in range(self._rng.randint(1, 6)):
            at = self._rng.randrange(len(data))
            how = self._rng.random()
            if how < 0.4:
                data[at] = self._rng.randrange(256)
            elif how < 0.7:
                del data[at : at + self._rng.randint(1, 9)]
            else:
                data[at:at] = self._rng.randbytes(self._rng.randint(1, 9))
            if not data:
                data += b"\n"
        return Case("changed bytes", (bytes(data),), answers=0, ending="half-close")

    def _broken_http(self) -> Case:
        line = self._one(
            b"GET /api/v1/pods",
            b"GET  /api/v1/pods  HTTP/1.1",
            b"GET /api/v1/pods HTTP/9.9",
            b"GET /api/v1/pods HTTP/1.0",
            b"get /api/v1/pods HTTP/1.1",
            b"GET http://other/api/v1/pods HTTP/1.1",
            b"GET * HTTP/1.1",
            b"CONNECT other:443 HTTP/1.1",
            b"PRI * HTTP/2.0",
            b"GET /\x00 HTTP/1.1",
            b"GET /api/v1/pods?\xff\xfe HTTP/1.1",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"GET //api//v1//pods HTTP/1.1",
            b"GET /api/v1/../v1/pods HTTP/1.1",
            b"GET /%00%ff%c3%28 HTTP/1.1",
            b"",
            b"GET /api/v1/pods#x HTTP/1.1",
            b"G\xc3\x89T / HTTP/1.1",
        )
        headers = [
            b"Host: fuzz",
            b"Host: a\r\nHost: b",
            b"Content-Length: -1",
            b"Content-Length: 5\r\nContent-Length: 6",
            b"Content-Length: x",
            b"Content-Length: 99999999999999999999",
            b"Transfer-Encoding: chunked\r\nContent-Length: 3",
            b"Transfer-Encoding: gzip",
            b"No colon here",
            b": empty name",
            b"Sp ace: x",
            b"X: a\r\n folded",
            b"X:\x00",
            b"X: \xff\xfe",
            b"Connection: close, keep-alive",
            b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13",
            b"Connection: Upgrade\r\nUpgrade: SPDY/3.1",
            b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk",
            b"Expect: 100-continue",
            b"Expect: nonsense",
            b"Authorization: Bearer",
            b"Authorization: Basic eDp5",
            b"Authorization: \xff",
            b"Impersonate-User: x",
            b"Impersonate-Group: g",
            b"Content-Encoding: gzip",
            b"Accept-Encoding: gzip, br;q=x",
        ]
        chosen = self._rng.sample(headers, self._rng.randint(0, 4))
        eol = self._one(b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r")
        data = eol.join([line, *chosen, b"", b""])
        return Case("broken HTTP", (data,), answers=0, ending="half-close")

    def _half_request(self) -> Case:
        resource = self._one(*RESOURCES)
        data = self._request("POST", resource.path(NAMESPACES[0]), self._text(self._object(resource)))
        return Case(
            "half request",
            (data[: self._rng.randrange(1, len(data))],),
            answers=0,
            ending=self._one("close", "half-close"),
        )

    def _odd_encoding(self) -> Case:
        resource = self._one(*RESOURCES)
        text = json.dumps(self._object(resource), ensure_ascii=False)
        body, headers = self._one(
            (text.encode("utf-16"), {}),
            (b"\xef\xbb\xbf" + text.encode(), {}),
            (gzip.compress(text.encode(), mtime=0), {"content_encoding": "gzip"}),
            (gzip.compress(text.encode(), mtime=0)[:-9], {"content_encoding": "gzip"}),
            (_bomb(), {"content_encoding": "gzip"}),
            (text.encode(), {"content_encoding": "br"}),
            (text.replace('"a"', '"\\ud800"').encode(), {}),
            (text.encode().replace(b'"a"', b'"\xff\xfe"'), {}),
            (text.replace(":1", ":NaN").replace(": 1", ": Infinity").encode(), {}),
            (text.encode() + b" trailing", {}),
            (text.encode() * 2, {}),
            (text.replace('"metadata"', '"metadata": {}, "metadata"').encode(), {}),
            (quote(text).encode(), {"content_type": "application/x-www-form-urlencoded"}),
            (text.encode(), {"content_type": self._one(*TYPES)}),
        )
        return Case("odd encoding", (self._request("POST", resource.path(NAMESPACES[0]), body, **headers),))

    def _random_bytes(self) -> Case:
        return Case(
            "random bytes",
            (self._rng.randbytes(self._rng.choice((1, 10, 1000, 100_000))),),
            answers=0,
            ending="half-close",
        )

    def _chunked(self) -> Case:
        resource = self._one(*RESOURCES)
        text = self._text(self._object(resource))
        head = self._request(
            "POST", resource.path(NAMESPACES[0]), content_type="application/json", transfer_encoding="chunked"
        )
        head = head.replace(b"content-length: 0\r\n", b"")
        pieces = [text[at : at + 40] for at in range(0, len(text), 40)]
        right = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        broken = self._one(
            right.replace(b"\r\n", b"\n"),
            right[: len(right) // 2],
            b"zz\r\n" + right,
            b"-5\r\n" + right,
            b"fffffffffffffffff\r\nx",
            right.replace(b"0\r\n\r\n", b"0\r\nTrailer: x\r\n\r\n"),
            b"5;ext=" + b"x" * 10_000 + b"\r\n" + right,
        )
        if self._rng.random() < 0.4:
            return Case("chunked", (head, *(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n"))
        return Case("chunked", (head, broken), answers=0, ending="half-close")

    def _huge_headers(self) -> Case:
        size = self._rng.choice((8_000, 70_000, 300_000, 2_000_000))
        lines = self._one(
            b"X: " + b"x" * size,
            b"\r\n".join(b"X-%d: y" % number for number in range(size // 20)),
            b"X" * size + b": y",
            b"Authorization: Bearer " + b"x" * size,
            b"Accept: " + b"a/b," * (size // 4),
        )
        first = self._one(b"GET /api/v1/pods HTTP/1.1\r\n", b"GET /" + b"x" * size + b" HTTP/1.1\r\n")
        return Case("huge headers", (first + b"Host: fuzz\r\n" + lines + b"\r\n\r\n",), answers=0, ending="half-close")

    def _slow(self) -> Case:
        """A right request in many small pieces."""
        resource = self._one(*RESOURCES)
        data = self._request("POST", resource.path(NAMESPACES[0]), self._text(self._object(resource)))
        size = len(data) // 12 + 1
        chunks = tuple(data[at : at + size] for at in range(0, len(data), size))
        return Case("slow", chunks, pause_s=self._rng.choice((0.001, 0.01, 0.05)))

    def _protobuf(self) -> Case:
        resource = self._one(*RESOURCES)
        body = b"k8s\x00" + self._rng.randbytes(self._rng.choice((0, 5, 60, 5000)))
        kind = "application/vnd.kubernetes.protobuf"
        return Case("protobuf", (self._request("POST", resource.path(NAMESPACES[0]), body, content_type=kind),))

    def _huge_body(self) -> Case:
        resource = self._one(*RESOURCES)
        body = self._object(resource)
        size = self._rng.choice((900_000, 3_145_000, 3_200_000, 12_000_000))
        body["metadata"]["annotations"] = {"a": "x" * size}
        data = self._request("POST", resource.path(NAMESPACES[0]), self._text(body))
        return Case("huge body", tuple(data[at : at + 1_000_000] for at in range(0, len(data), 1_000_000)))

    def _deep_body(self) -> Case:
        resource = self._one(*RESOURCES)
        text = self._one("[" * _DEEP + "]" * _DEEP, '{"a":' * _DEEP + "1" + "}" * _DEEP, "[" * 100_000)
        body = f'{{"apiVersion":"v1","kind":"{resource.kind}","metadata":{{"name":"a"}},"spec":{text}}}'.encode()
        return Case("deep body", (self._request("POST", resource.path(NAMESPACES[0]), body),))

    def _yaml(self) -> Case:
        bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        )
        text = self._one(
            bomb,
            "a: &a [*a]\n",
            "? {a: b}\n: c\n",
            "!!python/object/apply:os.system ['true']\n",
            "a: !!binary x\n",
            "<<: *x\n",
            "- a\nb: c\n",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\nkind: x\n",
            "%YAML 9.9\n---\na: 1\n",
            "\t",
            "a: 0x1_0\nb: 1e400\nc: 2001-01-01\n",
            "[" * 2000,
            "{a: " * 2000,
        )
        resource = self._one(*RESOURCES)
        kind = self._one("application/yaml", "application/apply-patch+yaml")
        method, name = ("PATCH", "/a?fieldManager=m") if "patch" in kind else ("POST", "")
        request = self._request(method, resource.path(NAMESPACES[0]) + name, text.encode(), content_type=kind)
        return Case("YAML", (request,))
