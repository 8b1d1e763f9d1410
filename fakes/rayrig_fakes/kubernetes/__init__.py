"""A Kubernetes API server in memory: one sans-IO core, an in-process client and an HTTP-shaped face.

What lives where:

- `store`, `revisions`, `watch`: objects by key, the log of their changes, cursors over that log;
- `registry`: which resources are served; `kind_rules`, `kinds/`: what may differ between kinds, and the rules of each built-in one
  (defaulting, validation, deletion);
- `schema/`: structural schemas of custom resources, compiled; `patch/`: three kinds of patch; `apply/`: server-side apply;
- `calls`, `server`: typed verbs and what they do; `requests`, `handler`: the same verbs out of HTTP requests;
- `status`, `names`, `selectors`, `objectmeta`, `table`: bodies of errors, naming rules, selectors, metadata rules, printed columns;
- `identity`, `tokens`: users and what they ask for; `authorization/`: roles and bindings, reviews, tokens of service accounts;
- `discovery`, `nonresource`, `openapi/`: what the server tells about itself;
- `client`: the `KubernetesClient` port in front of a server in this process.

Not here: controllers, schedulers, kubelets (actors over the client port), sockets, clocks.
"""
