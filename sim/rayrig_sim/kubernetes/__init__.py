"""Nodes and what runs on and around them: kubelet, probes, scheduler, endpoints, node lifecycle, garbage collection.

What lives where:

- `nodes`, `kubelet` and what it is made of (`pod_worker`, `probes`, `images`, `status_manager` …): a machine and its pods;
- `scheduler`, `scheduling/`: which node a pod gets;
- `control_plane` starts the controllers: nodes, endpoints, garbage, namespaces, accounts, storage, Jobs; `workload_controllers`
  those of Deployments (`deployments/`), ReplicaSets, StatefulSets, DaemonSets, budgets and Endpoints objects;
- `object_cache`, `controlled_objects`, `keyed_work`: what those controllers share; `service_proxy`: where a Service leads to.

Every actor here talks to Kubernetes only through the client port, as the real component does, and so could run against a real API
server too. What does not live here: Ray (`rayrig_sim.ray`, `ray_pods`), Serve (`rayrig_sim.serve`), the API server
(`rayrig_fakes.kubernetes`).
"""
