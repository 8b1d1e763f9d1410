"""The Ray dashboard agent: the REST surface in front of a Serve instance (ray-serve.md 2).

One sans-IO core (`agent.py`) with a module per subject beside it. It knows the ports of `rayrig_core` and nothing of what stands
behind them. What does not live here: the node agents' health endpoints (`rayrig_sim.ray_pods.health`) and sockets.
"""

from rayrig_fakes.dashboard.agent import DashboardAgent

__all__ = ["DashboardAgent"]
