"""The socket that the HTTP door listens on; open before what answers on it is loaded, so that nobody is refused."""

import socket

BACKLOG = 2_048


def listen(host: str, port: int) -> socket.socket:
    """Port 0 takes a free one. Raises: OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def address_of(listening: socket.socket) -> tuple[str, int]:
    address = listening.getsockname()
    return str(address[0]), int(address[1])
