"""Nodes and what runs on and around them: kubelet, probes, scheduler, endpoints, node lifecycle, garbage collection.

What lives where:

- `kubelet/`: a machine's agent and its pods; `nodes/`: machines as the control plane knows them;
- `scheduling/`: which node a pod gets; `endpoints/`: which pods a Service leads to; `gateway/`: where HTTPRoutes lead;
- `workloads/`: Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs, budgets; `garbage_collector`, `namespaces`,
  `service_accounts`, `storage_protection`: what cleans up and what guards;
- `control_plane`, `workload_controllers`: which of them start together;
- `object_cache`, `controlled_objects`, `keyed_work`: what controllers share.

Every actor here talks to Kubernetes only through the client port, as the real component does, and so could run against a real API
server too. What does not live here: Ray (`rayrig_sim.ray`, `ray_pods`), Serve (`rayrig_sim.serve`), the API server
(`rayrig_fakes.kubernetes`).
"""
