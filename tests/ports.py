"""Free ports for the scripts of the tests."""

import random
import socket


def free_port():
    """Finds a free port below the range from which the kernel gives sockets theirs, so that no other socket takes it."""
    while True:
        port = random.randrange(20000, 30000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
