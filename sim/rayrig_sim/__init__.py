"""The world: a discrete-event model of nodes, Ray clusters, Serve and traffic on one virtual clock.

What lives here: the kernel (simpy) and everything that moves in virtual time, a folder per system: `kubernetes/` (nodes, scheduler,
kubelet, probes, endpoints), `ray/` (GCS, raylet, autoscaler), `serve/` (controller, replicas, proxies, router). What does not: the
Kubernetes API itself (`rayrig_fakes`) and the operator (`rayrig_controllers`): the actors here meet both only through the ports.
"""
