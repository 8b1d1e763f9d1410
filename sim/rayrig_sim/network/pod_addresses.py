"""Which address a new pod gets: each node has a range of its own, as kubeadm's default pod network lays it out."""

from __future__ import annotations

from collections import deque

#: First octet pair: node i owns 10.(244 + i // 256).(i % 256).0/24.
_POD_NETWORK = (10, 244)


class PodAddresses:
    """The ranges of all nodes."""

    def __init__(self) -> None:
        self._ranges: dict[str, _Range] = {}
        self._count = 0

    def take(self, node: str) -> str:
        """A fresh address in the node's range; freed ones come back only when the range is used up."""
        of_node = self._ranges.get(node)
        if of_node is None:
            of_node = self._ranges[node] = _Range()
        ip = of_node.take()
        if ip is None:
            index = self._count
            self._count += 1
            ip = of_node.grow(f"{_POD_NETWORK[0]}.{_POD_NETWORK[1] + index // 256}.{index % 256}")
        return ip

    def free(self, ip: str, node: str) -> None:
        """The pod that had it is gone."""
        of_node = self._ranges.get(node)
        if of_node is not None:
            of_node.free.append(ip)


class _Range:
    """Addresses of one node: .2 to .254 of each of its prefixes, then freed ones, oldest first."""

    __slots__ = ("free", "last", "prefix")

    def __init__(self) -> None:
        self.prefix = ""
        self.last = 254
        self.free: deque[str] = deque()

    def take(self) -> str | None:
        if self.last < 254:
            self.last += 1
            return f"{self.prefix}.{self.last}"
        return self.free.popleft() if self.free else None

    def grow(self, prefix: str) -> str:
        """One more prefix; its first address."""
        self.prefix, self.last = prefix, 2
        return f"{prefix}.2"
