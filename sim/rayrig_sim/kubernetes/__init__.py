"""Nodes and what runs on and around them: kubelet, probes, scheduler, endpoints, node lifecycle, garbage collection.

Every actor here talks to Kubernetes only through the client port, as the real component does, and so could run against a real API
server too. What does not live here: Ray (`rayrig_sim.ray`, `ray_pods`), Serve (`rayrig_sim.serve`), the API server
(`rayrig_fakes.kubernetes`).
"""
