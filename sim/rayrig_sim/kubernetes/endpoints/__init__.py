"""From Services and pods to addresses: EndpointSlices, Endpoints and the mirror between them, and the proxy that picks one."""
