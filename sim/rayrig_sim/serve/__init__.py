"""Ray Serve: controller, applications, deployments, replicas, proxies, routers, autoscaling.

Control plane and data plane of one Serve instance. What does not live here: the REST surface in front of it
(`rayrig_fakes.dashboard`), the Ray cluster below it (`rayrig_sim.ray`), clients and Services (`rayrig_sim.traffic`, `network`).
"""
