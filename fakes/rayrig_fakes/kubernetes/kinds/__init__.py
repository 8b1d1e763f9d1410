"""The rules of each built-in kind: names, defaults, validation, what an update may change, how it is deleted.

One file per kind or family; `builtin` is the list of what every server serves. The base they share is `kind_rules`, below this
package: the registry and the server know it, and none of the kinds.
"""
