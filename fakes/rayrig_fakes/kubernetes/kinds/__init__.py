"""The rules of each built-in kind: names, defaults, validation, what an update may change, how it is deleted.

One file per kind or family; `rules` is the base they share, `builtin` the list of what every server serves.
"""
