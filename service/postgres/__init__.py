"""PostgreSQL as this service reaches it: the URL's parts, connections, requirements of the server."""
