"""The node agent: pods, containers, probes, hooks, images, and what it reports.

Placing pods (`scheduling`) and losing nodes (`nodes`) are not here.
"""
