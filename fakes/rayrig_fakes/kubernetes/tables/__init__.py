"""Tables as the server prints them (K8-011): columns of a resource, a row of cells per object.

What lives where: `printing` finds the columns of a resource, those of custom resources included; `everyday_kinds`, `workloads`,
`storage` and `other_kinds` have those of built-in kinds; `layouts` and `cells`: what all of these are made of. Not here: in which
form a table is answered (`handler`, `negotiation`).
"""
