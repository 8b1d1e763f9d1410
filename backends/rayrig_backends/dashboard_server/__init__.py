"""A modelled Ray cluster with Serve that others can connect to: dashboard, agents and proxies on sockets, on paced time.

`ray_machines` is the cluster, on machines of its own, without Kubernetes; `pacing` lets its virtual time follow the clock; `ports`
opens a socket while something of the model listens and closes it when it goes; `server` puts them together.
"""
