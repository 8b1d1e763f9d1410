"""What players print of the cases they played."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def tell(verdicts: Iterable[tuple[str, Sequence[str]]], *, verbose: bool) -> int:
    """Of each case its name and its differences, of which there are none when it holds. The exit code: 0 when all hold, else 1."""
    passed = failed = 0
    for name, lines in verdicts:
        if lines:
            failed += 1
            print(f"FAIL {name}")
            for line in lines:
                print(f"    {line}")
        else:
            passed += 1
            if verbose:
                print(f"ok   {name}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0
