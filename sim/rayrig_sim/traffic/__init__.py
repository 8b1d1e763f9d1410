"""Requests to Services: open and closed loops, mixes, connections, and the account of what became of each request.

What does not live here: which pods a Service leads to (`rayrig_sim.kubernetes.endpoints.service_proxy`), the network in between
(`rayrig_sim.network`), and what a proxy does with a request (`rayrig_sim.serve`).
"""
