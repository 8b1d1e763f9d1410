"""What can be done to an object: get, list, write, delete, evict, and the subresources. Says nothing of HTTP."""
