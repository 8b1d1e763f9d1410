"""Amounts in what clients send are written back in canonical form, whichever way they are read."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from rayrig_core.resources.quantities import canonical
from rayrig_fakes.kubernetes.typed.decoding import decode


@given(
    st.integers(0, 5000)
    | st.integers(1, 5000).map(lambda it: it * 1000)
    | st.integers(1, 5000).map(lambda it: it * 1024),
    st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi", "u", "n", "E"]),
)
@example(1024, "Mi")
@example(1000, "m")
@example(1_000_000, "m")
def test_an_amount_is_written_in_its_canonical_form(number: int, unit: str) -> None:
    sent = {"limits": {"cpu": f"{number}{unit}"}}
    assert decode(sent, "core.v1.ResourceRequirements", []) == {"limits": {"cpu": canonical(f"{number}{unit}")}}
