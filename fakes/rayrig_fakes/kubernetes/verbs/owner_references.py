"""Owners that are named twice: the server keeps the first and says so (K8-034)."""

from __future__ import annotations

from rayrig_core.objects import JsonObject


def without_doubles(meta: JsonObject, warnings: list[str], *, patched: bool) -> None:
    """Changes `metadata` where it names an owner twice in the same way. `patched`: a patch made it so."""
    references = meta.get("ownerReferences")
    if not references or len(references) < 2:
        return
    kept: list[JsonObject] = []
    doubles: dict[str, None] = {}
    for reference in references:
        if reference in kept:
            doubles[str(reference.get("uid", ""))] = None
        else:
            kept.append(reference)
    if not doubles:
        return
    meta["ownerReferences"] = kept
    warnings.append(
        f".metadata.ownerReferences contains duplicate entries{' after mutating admission happens' if patched else ''}; "
        "API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your "
        f"requests; duplicate UID(s) observed: {', '.join(doubles)}"
    )
