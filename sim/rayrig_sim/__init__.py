"""The world: a discrete-event model of nodes, Ray clusters, Serve and traffic on one virtual clock.

What lives here: the kernel (simpy) and everything that moves in virtual time, a folder per system: `kubernetes/` (nodes, scheduler,
kubelet, probes, endpoints), `ray/` (a cluster as its GCS sees it), on it `serve/` (controller, replicas, proxies, router),
`applications/` (user code), `ray_pods/` (what runs in Ray's containers), `traffic/` (requests). What does not: the Kubernetes
API itself (`rayrig_fakes`) and the operator (`rayrig_controllers`): the actors here meet both only through the ports.
"""
