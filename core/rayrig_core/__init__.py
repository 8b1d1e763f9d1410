"""The words everything else speaks: resources, ports, trace and fault points.

What lives here: the typed Ray resources (`resources/`), the protocols at which real and simulated systems meet (`ports`), the
typed trace of a run (`trace`), the naming of fault points (`faultpoints`), Kubernetes' resource types and API errors.
What does not: anything with I/O, a clock of its own, or knowledge of how a world is simulated. This package imports nothing
else of rayrig.
"""
