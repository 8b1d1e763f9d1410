"""The words everything else speaks: resources, ports, trace and fault points.

What lives here: the typed Ray resources (`resources/`), the protocols at which real and simulated systems meet (`ports`), the
typed trace of a run (`trace`), the naming of fault points (`faultpoints`), Kubernetes' resource types, names, merge patches and API
errors, and the few facts that more than one pillar needs to be the same. What does not: anything with I/O, a clock or randomness of
its own, or knowledge of how a world is simulated. This package imports nothing else of rayrig.
"""
