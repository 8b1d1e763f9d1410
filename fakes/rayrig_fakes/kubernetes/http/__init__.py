"""The fake API server on a socket: an ASGI application over the HTTP-shaped face, and what runs it.

What lives where:

- `app`: one request: identity, permission, fault point, answer or stream;
- `request_info`: what a request asks for, read off its path alone, as permissions, faults and the request log need it;
- `watch_streams`, `wakeups`: open watches as chunked streams, woken together so that writers keep most of the time;
- `connection`, `request_limits`: the socket below a response, and connections that end by themselves; `compression`;
- `future_versions`: reads that wait for a version that is not reached yet;
- `fault_points`: what a fault does to a request or an event on the wire;
- `administration`: what only a fake has, below `/rayrig/`; `audit`: who asked for what;
- `beyond`: what the API server alone cannot answer: `proxying` to what the model serves, `container_streams` and `port_forwards`
  over `websockets` on a connection that was taken over (`upgrades`), and kubectl's own, `tunnelled_forwards` over `spdy`;
- `serving`: uvicorn, the listening socket, the beginning and the clean end.

Not here: what requests mean (`rayrig_fakes.kubernetes.rest.handler`), built-in controllers (actors that a backend starts beside the
server), the command line. uvicorn comes with the extra `rayrig[kube]` and is imported when a server is started.
"""
