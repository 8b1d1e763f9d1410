"""Server-side apply: who owns which field, and what an applied configuration makes of an object (`kubernetes-api.md` section 6).

`topology` says how lists and maps merge; `trees` are owned fields as `FieldsV1`, `fields` the same as paths;
`managers` keeps `metadata.managedFields`; `configuration` merges an applied object into the live one. Account is kept of calls
that name a field manager (all that come by HTTP do), and from then on of every write to the object.
"""
