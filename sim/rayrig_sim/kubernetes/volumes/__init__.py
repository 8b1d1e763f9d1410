"""Claims and the volumes they are bound to: the controller that binds and provisions, and what the scheduler asks of claims.

Attaching and mounting are not modelled: a bound volume is there on whichever node its pod runs.
"""
