"""Fake servers of use on their own: a Kubernetes API server and a Ray dashboard agent, each a sans-IO core with faces.

What lives here: what these servers answer. What does not: who calls them, and what lies behind their answers: the operator
(`rayrig_controllers`), nodes, Ray and Serve (`rayrig_sim`); a dashboard asks its Serve instance through a port of `rayrig_core`.
"""
