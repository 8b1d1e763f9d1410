"""The Gateway API: which HTTPRoute a Gateway carries, what it answers in status. Requests that follow it are in `traffic`."""
