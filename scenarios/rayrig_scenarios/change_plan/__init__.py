"""What the operator and Serve would do with a changed manifest, and why: `rayrig diff`.

What lives here: which fields differ (`fields`), what the operator decides (`operator_plan`), what Serve does to replicas
(`serve_plan`). What does not: the decisions themselves, which are the controllers' and the Serve model's own.
"""
