"""Example applications that run in the simulation: user code of Serve deployments, and ones that only take time.

What does not live here: how user code is run (`rayrig_sim.serve.execution`) and looked up
(`rayrig_sim.serve.application_code`).
"""
