"""The simulated cluster network: pod addresses, who listens where, names, connections, silence and partitions.

Control-plane HTTP (controllers to dashboards, users to services) goes through a `client.NetworkClient`. The data plane of Serve
keeps connections of its own: it looks listeners up with `Network.listener`, asks `Network.reach` whether packets get through and
learns of lost hosts by `Network.on_gone`. Pod networking is flat; a removed pod leaves an address where nobody answers.

What does not live here: which endpoints a Service has (`rayrig_sim.kubernetes.endpoints`), routes of a Gateway
(`rayrig_sim.kubernetes.gateway`), who sends requests (`rayrig_sim.traffic`).
"""
