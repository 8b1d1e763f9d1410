"""What is served, described in OpenAPI 2 and 3: made when asked for, of the catalogue of built-in types and the CRDs' schemas.

What lives where:

- `names`: how schemas are called; `schemas`: the schemas of types, built-in and custom; `operations`: the paths;
- `documents`: the index, a document per group version, the one Swagger document, their hashes and media types.

It says less than the real server's documents: no descriptions of built-in fields, no deprecated watch paths, and no fields of
the kinds that are only stored (webhook configurations, flow schemas, resource claims and the like). Documents come as JSON, not
as protobuf.
"""
