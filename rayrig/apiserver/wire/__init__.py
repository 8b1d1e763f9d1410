"""How requests and replies look on the wire: protobuf messages as JSON, the gateway's routing, its errors and its descriptions.

What doesn't live here: what any call means.
"""
