"""The choice of world: wires the pillars into one, or puts a real cluster in their place.

What lives where:

- `world`: what a world is asked for and what it offers, behind which backends are exchanged; `faults`: what may strike it;
- `memory`: everything in one process on one virtual clock, with `machines`, `memory_faults`, `memory_traffic` and what else it is
  put together from;
- `asyncio_runtime`, `served_kubernetes`: the same actors on wall time, behind a socket that kubectl and others can connect to;
- `cluster/`: the same actors at an API server that is not in this process, and the operator as a process;
- `differential/`: the same requests to two API servers, and what differs.

Not here: what is done with a world (`rayrig_scenarios`), and how any part of it behaves (`rayrig_sim`, `rayrig_fakes`,
`rayrig_controllers`).
"""
