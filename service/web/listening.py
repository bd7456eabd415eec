"""The socket that a server listens on: IPv4, IPv6, or both."""

import socket
from ipaddress import ip_address

ANY_IPV4, ANY_IPV6 = "0.0.0.0", "::"


def listen_on(host: str, port: int) -> socket.socket:
    """Return a bound socket, not listening yet. Raise OSError.

    ``::`` also accepts IPv4 clients, and becomes ``0.0.0.0`` on a host without IPv6.
    """
    host = host.removeprefix("[").removesuffix("]")
    if host == ANY_IPV6 and not socket.has_dualstack_ipv6():
        host = ANY_IPV4
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # A name with both kinds of addresses, such as localhost, becomes its IPv4 address.
    family, *_, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    # asyncio turns Nagle's algorithm off only where the protocol is named. With it, an answer's body waits up to 40 ms
    # for the client's delayed acknowledgement of its headers.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the URL of a bound socket."""
    host, port = listener.getsockname()[:2]
    return f"http://{location(host, port)}"


def location(host: str, port: int) -> str:
    """Return ``host:port``, an IPv6 address in brackets."""
    try:
        is_ipv6 = ip_address(host.partition("%")[0]).version == 6
    except ValueError:
        is_ipv6 = False
    return f"[{host}]:{port}" if is_ipv6 else f"{host}:{port}"
