"""Built-in kinds as types: which fields they have and of what type, and decoding by them (`kubernetes-api.md` section 2).

`types.txt` holds a line per type: `NAME|field:TYPE;field:TYPE…`, fields in the order in which they are written. A TYPE is a
scalar (`string`, `string=GO_NAME`, `bool`, `int32`, `int64`, `float64`, `bytes`, `Time`, `MicroTime`, `Quantity`,
`IntOrString`, `Any`), the name of another line, `[]TYPE` or `map TYPE`. Marks: `!` behind a field that is required, `{keys}`
behind a list that is a map by these keys (a set when there are none), `^key` behind what strategic merge merges (by that key),
`~` behind what is owned as a whole.

`catalogue` reads it; `decoding` turns JSON into objects of a type; `times` parses times. Not here: defaults and validation
(`kinds`), schemas of custom resources (`schema`).
"""
