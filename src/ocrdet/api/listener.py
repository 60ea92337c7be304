"""The socket that the server listens on, or one clear sentence why it cannot."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ocrdet.errors import ConfigurationError

if TYPE_CHECKING:
    from types import TracebackType

BACKLOG = 2048
# Where `make run` is typed.
SAMPLE = Path("examples/sample.png")
# Whoever may reach the folder may connect, as with a TCP port on the loopback address.
UDS_MODE = 0o666


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that is being listened on.

    Attributes:
        sock: The socket.
        path: Its file, for a unix socket.
    """

    sock: socket.socket
    path: Path | None = None

    @classmethod
    def open(cls, host: str, port: int, uds: Path | None = None) -> Listener:
        """Listen on a unix socket where one is given, else on a TCP port; 0 picks a free one."""
        return cls(_listen_unix(uds), uds) if uds is not None else cls(_listen_tcp(host, port))

    @property
    def url(self) -> str:
        """How a client on this machine reaches it."""
        if self.path is not None:
            return f"unix:{self.path}"
        host, port = self.sock.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def curl(self) -> str:
        """A line that tries the service, with the project's sample picture where it is at hand."""
        picture = SAMPLE if SAMPLE.is_file() else "photo.jpg"
        if self.path is not None:
            return f"curl --unix-socket {self.path} -F file=@{picture} http://localhost/detect"
        return f"curl -F file=@{picture} {self.url}/detect"

    def __enter__(self) -> Listener:
        """Use the listener for a block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the socket and remove its file."""
        self.sock.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _listen_tcp(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except socket.gaierror as error:
        sentence = f"OCRDET_HOST={host} is no address of this machine: {error.strerror}."
        raise ConfigurationError(sentence) from error
    except OSError as error:
        known = {
            errno.EADDRINUSE: f"Port {port} on {host} is in use by another program; "
            "stop it, or set OCRDET_PORT.",
            errno.EACCES: f"Port {port} may not be opened by this user; set OCRDET_PORT to one above 1023.",
            errno.EADDRNOTAVAIL: f"OCRDET_HOST={host} is no address of this machine; "
            "127.0.0.1 or 0.0.0.0 always is.",
        }
        other = f"{host}:{port} cannot be listened on: {error.strerror}."
        raise ConfigurationError(known.get(error.errno or 0, other)) from error


def _listen_unix(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        sock.bind(str(path))
        path.chmod(UDS_MODE)
        sock.listen(BACKLOG)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError):
            sentence = f"OCRDET_UDS={path} cannot be listened on: {error.strerror or error}."
            raise ConfigurationError(sentence) from error
        raise
    return sock


def _remove_stale(path: Path) -> None:
    """Remove what a process that was killed has left.

    Raises:
        ConfigurationError: Something else is at that path; it stays.
    """
    if not path.exists():
        return
    if not path.is_socket():
        raise ConfigurationError(
            f"OCRDET_UDS={path} is a file but no socket; remove it or choose another path."
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(str(path)) == errno.ECONNREFUSED:
            path.unlink()
            return
    raise ConfigurationError(
        f"OCRDET_UDS={path} is in use by another program; stop it or choose another path."
    )
