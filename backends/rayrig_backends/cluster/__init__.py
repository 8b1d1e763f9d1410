"""Actors of rayrig at an API server that is not in this process: a served fake, a kind cluster, a real one.

What lives here: how to reach the server (`connection`), the ports over HTTP (`kubernetes_client`, `watch_stream`,
`cluster_http`), names of Services (`service_names`), the operator as a process (`operator_process`), nodes that are only said
to be there (`hollow_nodes`). What does not: anything on virtual time.
"""
