"""A Kubernetes API server in memory: one sans-IO core, an in-process client and an HTTP-shaped face.

What lives where:

- `store`, `revisions`, `watch`: objects by key, the log of their changes, cursors over that log;
- `registry`, `kinds/`: which resources are served, and the rules of each built-in kind (defaulting, validation, deletion);
- `schema/`: structural schemas of custom resources, compiled; `patch/`: the four kinds of patch;
- `calls`, `server`: typed verbs and what they do; `requests`, `handler`: the same verbs out of HTTP requests;
- `status`, `names`, `selectors`, `objectmeta`, `table`: bodies of errors, naming rules, selectors, metadata rules, printed columns;
- `client`: the `KubernetesClient` port in front of a server in this process.

Not here: controllers, schedulers, kubelets (actors over the client port), sockets, clocks.
"""
