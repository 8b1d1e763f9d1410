"""What watchers cost the fake Kubernetes, and whether each was told exactly what was written.

    python -m benchmarks.kubernetes_watches [--objects 100000] [--watchers 1000] [--http-objects 20000] [--creates 3000]

First the price: creates of a pod alone and beside 100 watchers, in process and over HTTP. Then the scale: many objects and
watchers of every kind (all, a namespace, a label, all but a label, a name; from the beginning, from a list, from an old version;
some of them slow), with updates and deletions between the creates; what each watcher was told is replayed against a record of all
writes. Ends with 1 when one watcher missed an event, had one twice or out of order.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from random import Random

from benchmarks.kubernetes_http import CONFIG_MAPS, Client, Process, config_map, creates_per_s, with_watchers
from benchmarks.kubernetes_store import pod
from benchmarks.replay.watches import CursorWatcher, Mark, Record, SocketWatcher, Wanted, Watcher
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import CONFIG_MAP, NAMESPACE, POD
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.server import ApiServer

_NOW_NS = 1_767_225_600 * 1_000_000_000
_NAMESPACES = 100
_ROUNDS = 3
Row = tuple[str, str, str]


def resident_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


# The price


def fan_out_in_process(count: int, watchers: int, turn_after: int) -> float:
    """Processor seconds for each create when every watcher reads and waits again after so many writes; 0 watchers: alone."""
    best = float("inf")
    objects = [pod(f"object-{number}") for number in range(count)]
    for _ in range(_ROUNDS):
        server = ApiServer(lambda: _NOW_NS, Random(1))
        cursors = [server.watch(ApiCall("watch", POD, "default")) for _ in range(watchers)]
        seen = [0] * watchers
        woken: list[int] = []

        def waker(index: int, woken: list[int] = woken) -> Callable[[], None]:
            return lambda: woken.append(index)

        wakers = [waker(index) for index in range(watchers)]
        for cursor, wake in zip(cursors, wakers, strict=True):
            cursor.call_when_ready(wake)
        gc.collect()
        gc.freeze()
        began = time.process_time()
        for number, obj in enumerate(objects, start=1):
            server.call(ApiCall("create", POD, "default", body=obj)).own()
            if woken and (number % turn_after == 0 or number == count):
                told = woken[:]
                woken.clear()
                for index in told:
                    cursor = cursors[index]
                    seen[index] += len(cursor.take_all())
                    cursor.call_when_ready(wakers[index])
        best = min(best, (time.process_time() - began) / count)
        gc.unfreeze()
        if seen != [count] * watchers:
            raise SystemExit("a watcher in process missed an event")
    return best


def fan_out(count: int, watchers: int) -> list[Row]:
    rows: list[Row] = []
    alone = fan_out_in_process(count, 0, 1)
    rows.append(("in process, create a pod", f"{alone * 1e6:,.0f} us", ""))
    for turn_after, wanted in ((10, "<= 2 times"), (1, "")):
        name = f"  {watchers} watchers that read after {'each write' if turn_after == 1 else f'{turn_after} writes'}"
        beside = fan_out_in_process(count, watchers, turn_after)
        rows.append((name, f"{beside * 1e6:,.0f} us, {beside / alone:.1f} times", wanted))
    clock, processor = [], []
    events = 0.0
    for _ in range(_ROUNDS):
        with Process() as process:
            before = process.cpu_s
            rate = creates_per_s(process.port, CONFIG_MAPS, [config_map(f"alone-{number}") for number in range(count)])
            cpu = (process.cpu_s - before) / count
        with Process() as process:
            before = process.cpu_s
            beside_rate, events = with_watchers(process.port, watchers, count)
            processor.append((process.cpu_s - before) / count / cpu)
            clock.append(rate / beside_rate)
    best = min(range(_ROUNDS), key=lambda index: clock[index])
    rows.append(
        (f"over HTTP, {watchers} watchers: creates by the clock", f"{clock[best]:.1f} times slower", "<= 2 times")
    )
    rows.append(("  processor time of the server for each create", f"{processor[best]:.1f} times", "<= 2 times"))
    rows.append(("  events until the last arrived", f"{events:,.0f} /s", ""))
    return rows


# The scale


def body(name: str, number: int) -> JsonObject:
    labels = {"app": f"a{number % 20}", "part": f"p{number % 3}"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"n": "1"}}


def wanted_by(rng: Random, objects: int) -> Wanted:
    chance = rng.random()
    namespace = f"n{rng.randrange(_NAMESPACES)}"
    label = ("app", f"a{rng.randrange(20)}")
    if chance < 0.02:
        return Wanted()
    if chance < 0.5:
        return Wanted(namespace)
    if chance < 0.7:
        return Wanted(namespace, label=label)
    if chance < 0.75:
        return Wanted(label=label)
    if chance < 0.9:
        return Wanted(namespace, other=("part", "p1"))
    return Wanted(namespace, name=f"c{rng.randrange(objects)}")


class Story:
    """Creates, each followed by chance by an update or a deletion of something that is there."""

    def __init__(self, rng: Random, write: Callable[[str, str, str, int], JsonObject], record: Record) -> None:
        self.rng, self.record = rng, record
        self._write = write
        self._there: list[tuple[str, str]] = []

    def step(self, number: int) -> None:
        rng, there = self.rng, self._there
        namespace, name = f"n{rng.randrange(_NAMESPACES)}", f"c{number}"
        self.record.wrote("ADDED", self._write("create", namespace, name, number))
        there.append((namespace, name))
        chance = rng.random()
        if chance < 0.2:
            self.record.wrote("MODIFIED", self._write("patch", *rng.choice(there), number + rng.randrange(60)))
        elif chance < 0.3:
            at = rng.randrange(len(there))
            there[at], there[-1] = there[-1], there[at]
            self.record.wrote("DELETED", self._write("delete", *there.pop(), 0))


def tell(
    story: Story,
    objects: int,
    watchers: int,
    open_one: Callable[[Wanted, Mark | None, int, bool], Watcher],
    *,
    oldest: int,
    marks: int = 20,
) -> list[Watcher]:
    """Write everything; a group of watchers is opened each `objects / marks` creates, half from a list and half from an old
    version, at most `oldest` writes ago. Every seventh is slow."""
    rng, record, opened = story.rng, story.record, list[Watcher]()
    revisions: list[int] = []
    for number in range(objects):
        if number % max(1, objects // marks) == 0 and len(opened) < watchers:
            mark = record.mark()
            for _ in range(-(-watchers // marks)):
                after = 0 if rng.random() < 0.5 or not revisions else rng.choice(revisions[-oldest:])
                is_slow = rng.randrange(7) == 0
                opened.append(open_one(wanted_by(rng, objects), None if after else mark, after, is_slow))
        story.step(number)
        revisions.append(record.revision)
        if number % 100 == 0:
            for watcher in opened:
                if not watcher.is_slow or number % 5_000 == 0:
                    watcher.read()
    for watcher in opened:
        watcher.read()
    return opened


def report(name: str, record: Record, opened: list[Watcher], took_s: float) -> tuple[list[Row], int]:
    told = sum(len(watcher.told) for watcher in opened)
    wrong = [(watcher, mistake) for watcher in opened if (mistake := watcher.mistake(record))]
    for watcher, mistake in wrong[:10]:
        print(f"{name}: {watcher.wanted}{' (slow)' if watcher.is_slow else ''}: {mistake}", file=sys.stderr)
    slow = sum(watcher.is_slow for watcher in opened)
    gone = sum(watcher.is_gone for watcher in opened)
    rows = [
        (f"{name}: watchers, slow ones, told 410", f"{len(opened):,}, {slow:,}, {gone:,}", ""),
        ("  writes", f"{len(record):,}", ""),
        ("  events", f"{told:,} in {took_s:,.0f} s", ""),
        ("  watches that lost, doubled or reordered", f"{len(wrong)}", "0"),
    ]
    return rows, len(wrong)


def scale_in_process(objects: int, watchers: int) -> tuple[list[Row], int]:
    server = ApiServer(lambda: _NOW_NS, Random(1))
    for number in range(_NAMESPACES):
        server.call(ApiCall("create", NAMESPACE, body={"metadata": {"name": f"n{number}"}}))
    record = Record(server.revision)

    def write(verb: str, namespace: str, name: str, number: int) -> JsonObject:
        if verb == "create":
            return server.call(ApiCall("create", CONFIG_MAP, namespace, body=body(name, number))).body
        if verb == "patch":
            labels = body(name, number)["metadata"]["labels"]
            patch = {"metadata": {"labels": labels}, "data": {"n": str(server.revision)}}
            return server.call(ApiCall("patch", CONFIG_MAP, namespace, name, body=patch)).body
        server.call(ApiCall("delete", CONFIG_MAP, namespace, name))
        return {"metadata": {"namespace": namespace, "name": name, "resourceVersion": str(server.revision)}}

    def open_one(wanted: Wanted, mark: Mark | None, after: int, is_slow: bool) -> Watcher:
        version = "" if mark is not None else str(after)
        selectors = {"label_selector": wanted.label_selector, "field_selector": wanted.field_selector}
        call = ApiCall("watch", CONFIG_MAP, wanted.namespace, resource_version=version, **selectors)
        return CursorWatcher(server.watch(call), wanted, mark, after, is_slow=is_slow)

    before = resident_mib()
    began = time.perf_counter()
    opened = tell(Story(Random(1), write, record), objects, watchers, open_one, oldest=20_000)
    took_s = time.perf_counter() - began
    rows, wrong = report(f"in process, {objects:,} objects", record, opened, took_s)
    noted = sum(watcher.told.buffer_info()[1] * 8 for watcher in opened) / 1024 / 1024
    rows.append(("  resident, with the record", f"{resident_mib():,.0f} MiB", ""))
    rows.append(("    of it before the first write, and noted by watchers", f"{before:,.0f} and {noted:,.0f} MiB", ""))
    return rows, wrong


class HttpWriter:
    """One connection that gives answers back."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port)
        self._patches = 0

    def write(self, verb: str, namespace: str, name: str, number: int) -> JsonObject:
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        if verb == "create":
            return self._send("POST", path, body(name, number))
        if verb == "patch":
            labels = body(name, number)["metadata"]["labels"]
            # Never the same twice: something is written.
            self._patches += 1
            patch = {"metadata": {"labels": labels}, "data": {"n": f"patched {self._patches}"}}
            return self._send("PATCH", f"{path}/{name}", patch)
        self._send("DELETE", f"{path}/{name}", None)
        # A deletion's answer does not tell its version, which is the present one: nobody else writes.
        version = self._send("GET", f"{path}?limit=1", None)["metadata"]["resourceVersion"]
        return {"metadata": {"namespace": namespace, "name": name, "resourceVersion": version}}

    def _send(self, method: str, path: str, value: JsonObject | None) -> JsonObject:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        sent = None if value is None else json.dumps(value)
        self._connection.request(method, path, sent, {"Content-Type": kind})
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 201):
            raise SystemExit(f"{method} {path}: {answer.status} {text!r}")
        parsed: JsonObject = json.loads(text)
        return parsed


def scale_over_http(objects: int, watchers: int) -> tuple[list[Row], int]:
    with Process("--no-controllers") as process:
        writer = HttpWriter(process.port)
        client = Client(process.port)
        for number in range(_NAMESPACES):
            name = json.dumps({"metadata": {"name": f"n{number}"}}).encode()
            assert client.send("POST", "/api/v1/namespaces", name) == 201
        record = Record(1)

        def open_one(wanted: Wanted, mark: Mark | None, after: int, is_slow: bool) -> Watcher:
            path = f"/api/v1/namespaces/{wanted.namespace}/configmaps" if wanted.namespace else "/api/v1/configmaps"
            return SocketWatcher(("127.0.0.1", process.port), path, wanted, mark, after, is_slow=is_slow)

        began = time.perf_counter()
        opened = tell(Story(Random(2), writer.write, record), objects, watchers, open_one, oldest=2_000)
        wait_for_all(record, opened)
        took_s = time.perf_counter() - began
        rows, wrong = report(f"over HTTP, {objects:,} objects", record, opened, took_s)
        rows.append(("  resident, the server", f"{process.resident_mib:,.0f} MiB", ""))
        rows.append(("  processor time of the server", f"{process.cpu_s:,.0f} s", ""))
        for watcher in opened:
            assert isinstance(watcher, SocketWatcher)
            watcher.close()
    return rows, wrong


def wait_for_all(record: Record, opened: list[Watcher]) -> None:
    """Until all have what they should, or nothing has come for a minute: TCP may pause that long after a receiver was slow."""
    last = time.monotonic()
    expected = {id(watcher): len(record.expected(watcher.wanted, watcher.mark, watcher.after)) for watcher in opened}
    missing = list(opened)
    while missing and time.monotonic() - last < 60:
        for watcher in missing:
            told = len(watcher.told)
            watcher.read()
            if len(watcher.told) > told:
                last = time.monotonic()
        if missing:
            time.sleep(0.001)
        missing = [each for each in missing if not each.is_gone and len(each.told) < expected[id(each)]]
    time.sleep(0.2)
    for watcher in opened:
        watcher.read()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--http-objects", type=int, default=20_000)
    parser.add_argument("--watchers", type=int, default=1_000)
    parser.add_argument("--creates", type=int, default=2_000, help="for the price of 100 watchers; 0 leaves it out")
    options = parser.parse_args()
    rows: list[Row] = [("", "", "wanted")]
    wrong = 0
    if options.creates:
        rows += fan_out(options.creates, 100)
    if options.http_objects:
        found, count = scale_over_http(options.http_objects, options.watchers)
        rows, wrong = rows + found, wrong + count
    if options.objects:
        found, count = scale_in_process(options.objects, options.watchers)
        rows, wrong = rows + found, wrong + count
    width = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join(cell.ljust(width[column]) for column, cell in enumerate(row)).rstrip())
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
