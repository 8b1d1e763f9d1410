"""The reconcile logic of the KubeRay operator (a package per controller) and the small runtime it runs on.

What lives here: `rayservice/`, `raycluster/`, `networkpolicy/`; `informer`, `cached_client`, `workqueue`, `expectations`,
`event_recorder`, `controller`, `manager` are the runtime, `operator` puts all together. What does not: Kubernetes' own controllers
(`rayrig_sim.kubernetes`). Everything here awaits ports only and knows neither the simulation nor the fakes.
"""
