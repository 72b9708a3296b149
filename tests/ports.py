"""A free port, for the scripts that start servers."""

import random
import socket


def free_port():
    """A port that no socket which asks for any free one is given: below the range that the kernel takes those from."""
    while True:
        with socket.socket() as s:
            port = random.randrange(20000, 30000)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
