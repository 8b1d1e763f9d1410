"""Bodies in Kubernetes' protobuf, which Go clients (kubectl, controllers) send for built-in kinds.

`numbers.txt` holds a line per message: `NAME|NUMBER[!]:FIELD:TYPE;…`, facts from the tags of `k8s.io/api` 1.36. A TYPE is a scalar
(`string`, `bool`, `int32`, `int64`, `double`, `bytes`, `Time`, `MicroTime`, `Quantity`, `IntOrString`, `Raw` for embedded JSON,
`Items` for a named list of strings), the name of another line, `[]TYPE` or `map TYPE`. `!` marks fields that JSON has even when
they are empty; a message without a field name has its fields in its parent in JSON. `table` reads it; `decoding` reads
bodies, `encoding` writes answers for clients that take nothing else. Not here: watches in protobuf, which are refused.
"""
