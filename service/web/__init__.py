"""HTTP helpers: bodies, bearer tokens, addresses, sockets, and the client of outgoing calls."""
