"""The HTTP-shaped face without sockets: paths and queries in, statuses, media types and lines of a watch out."""
