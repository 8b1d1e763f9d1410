"""A Ray cluster below Serve: GCS, raylets, the processes in head and worker containers, the Ray autoscaler.

What does not live here: Serve itself (`rayrig_sim.serve`) and pods (`rayrig_sim.kubernetes`).
"""
