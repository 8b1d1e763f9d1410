"""A Kubernetes API server in memory: one sans-IO core, an in-process client and an HTTP-shaped face.

What lives where:

- `storage/`: objects by key, the log of their changes, cursors over that log, what watchers of one collection share;
  `saved_state`: all of it as a value;
- `registry`: which resources are served; `kind_rules`, `kinds/`: what may differ between kinds, and the rules of each built-in one
  (defaulting, validation, deletion);
- `intake`, `typed/`: what clients send as objects of built-in types; `protobuf/`: the same in bytes of Go clients;
- `schema/`: structural schemas of custom resources, compiled; `patch/`: three kinds of patch; `apply/`: server-side apply;
- `calls`, `server`: typed verbs; `verbs/`: what they do; `rest/`: the same verbs out of HTTP requests, without sockets; `bodies`:
  JSON or YAML into objects; `http/`: on a socket;
- `status`, `names`, `selectors`, `objectmeta`: bodies of errors, naming rules, selectors, metadata rules;
- `tables/`: printed columns, and the cells of a row;
- `identity`, `tokens`: users and what they ask for; `authorization/`: roles and bindings, reviews, tokens of service accounts;
- `discovery`, `openapi/`: what the server tells about itself;
- `fault_rules`: what strikes calls and events while a server runs; `container_logs`, `pod_logs`: what containers wrote;
- `client`: the `KubernetesClient` port in front of a server in this process.

Not here: controllers, schedulers, kubelets (actors over the client port), clocks. Only `http/` knows of sockets.
"""
