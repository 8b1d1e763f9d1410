"""A Ray cluster below Serve, as its GCS sees it: nodes, actors, logical resources, placement, external storage.

What does not live here: Serve itself (`rayrig_sim.serve`), the processes in containers that make up a cluster
(`rayrig_sim.ray_pods`), pods (`rayrig_sim.kubernetes`).
"""
