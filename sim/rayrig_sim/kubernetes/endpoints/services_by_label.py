"""Which Services select a pod, without asking each of them: by one of the labels each selector wants."""

from __future__ import annotations

from collections.abc import Mapping

#: Answers are kept for as many sets of labels.
_MOST_ANSWERS = 10_000

#: Namespace, label, value.
_Home = tuple[str, str, str]


class ServicesByLabel:
    """An index of the selectors of Services."""

    def __init__(self) -> None:
        self._by_label: dict[_Home, dict[str, tuple[int, Mapping[str, str]]]] = {}
        self._homes: dict[tuple[str, str], tuple[int, _Home]] = {}
        self._count = 0
        #: By namespace and labels: pods of one template all have the same.
        self._answers: dict[tuple[object, ...], tuple[str, ...]] = {}

    def put(self, namespace: str, name: str, selector: Mapping[str, str]) -> None:
        """A Service has that selector, which is not empty, in place of what it had before."""
        had = self._homes.get((namespace, name))
        self.drop(namespace, name)
        if had is None:
            self._count += 1
        number = had[0] if had is not None else self._count
        # The label that tells most: by which the fewest others are found.
        homes = [(namespace, label, value) for label, value in selector.items()]
        home = min(homes, key=lambda one: len(self._by_label.get(one, ())))
        self._homes[namespace, name] = (number, home)
        self._by_label.setdefault(home, {})[name] = (number, selector)

    def drop(self, namespace: str, name: str) -> None:
        """It selects nothing any more. Nothing when it didn't."""
        self._answers.clear()
        _, home = self._homes.pop((namespace, name), (0, None))
        if home is not None:
            services = self._by_label[home]
            del services[name]
            if not services:
                del self._by_label[home]

    def of(self, namespace: str, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Names of the Services that select a pod with those labels, oldest first."""
        asked = (namespace, *labels.items())
        found = self._answers.get(asked)
        if found is None:
            if len(self._answers) >= _MOST_ANSWERS:
                self._answers.clear()
            found = self._answers[asked] = self._selecting(namespace, labels)
        return found

    def _selecting(self, namespace: str, labels: Mapping[str, str]) -> tuple[str, ...]:
        by_label = self._by_label
        found: list[tuple[int, str]] = []
        for label, value in labels.items():
            services = by_label.get((namespace, label, value))
            if services is not None:
                found += [
                    (number, name)
                    for name, (number, selector) in services.items()
                    if all(labels.get(key) == wanted for key, wanted in selector.items())
                ]
        if len(found) > 1:
            found.sort()
        return tuple(name for _, name in found)
