"""Which pod is meant: by its name, the beginning of it, or a part that no other has."""

from __future__ import annotations

from collections.abc import Iterable

from rayrig_core.errors import InputError
from rayrig_scenarios.why.chain import Chain, Link
from rayrig_scenarios.why.evidence import Evidence
from rayrig_scenarios.why.stages import Stage

_MOST = 12


def chosen_pod(wanted: str, keys: Iterable[str], namespace: str = "") -> str:
    """The `namespace/name` that is meant. Raises `InputError` with the candidates when none or several are."""
    known = [key for key in keys if not namespace or key.startswith(f"{namespace}/")]
    in_namespace, slash, name = wanted.removeprefix("pods/").removeprefix("pod/").rpartition("/")
    if slash:
        known = [key for key in known if key.startswith(f"{in_namespace}/")]
    if not name:
        raise InputError("which pod?", where="POD", remedy=_candidates("there are", known))
    for fits in (_is_equal, _begins, _contains):
        found = [key for key in known if fits(key.rpartition("/")[2], name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(
                f'"{wanted}" may be {len(found)} pods', where="POD", remedy=_candidates("name one of", found)
            )
    raise InputError(f'there is no pod "{wanted}"', where="POD", remedy=_candidates("there are", known))


def _is_equal(name: str, wanted: str) -> bool:
    return name == wanted


def _begins(name: str, wanted: str) -> bool:
    return name.startswith(wanted)


def _contains(name: str, wanted: str) -> bool:
    return wanted in name


def _candidates(words: str, keys: list[str]) -> str:
    if not keys:
        return "there are no pods"
    only_default = all(key.startswith("default/") for key in keys)
    shown = sorted(key.removeprefix("default/") if only_default else key for key in keys)
    more = f" and {len(shown) - _MOST} more" if len(shown) > _MOST else ""
    return f"{words} {', '.join(shown[:_MOST])}{more}"


def born_later(key: str, born_ns: int, evidence: Evidence) -> Chain:
    """Of a pod that is not there yet."""
    namespace, _, name = key.partition("/")
    text = f"it is not there yet: it is created at {evidence.tell(born_ns)}"
    return Chain(namespace, name, "", evidence.at_ns, Stage.ABSENT, None, (Link(text, born_ns),), (), evidence.clock)
