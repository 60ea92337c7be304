"""The socket that the server listens on, or one clear sentence why it cannot."""

from __future__ import annotations

import errno
import socket
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocrdet.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

BACKLOG = 2048
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
        """A line that tries the service."""
        if self.path is not None:
            return f"curl --unix-socket {self.path} -F file=@photo.jpg http://localhost/detect"
        return f"curl -F file=@photo.jpg {self.url}/detect"

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
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise ConfigurationError(
            f"OCRDET_HOST={host} is no address of this machine: {error.strerror}."
        ) from error
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ConfigurationError(_tcp_sentence(host, port, error)) from error
    return sock


def _tcp_sentence(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use by another program; stop it, or set OCRDET_PORT."
    if error.errno == errno.EACCES:
        return f"Port {port} may not be opened by this user; set OCRDET_PORT to one above 1023."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"OCRDET_HOST={host} is no address of this machine; 127.0.0.1 or 0.0.0.0 always is."
    return f"{host}:{port} cannot be listened on: {error.strerror}."


def _listen_unix(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        sock.bind(str(path))
        path.chmod(UDS_MODE)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ConfigurationError(
            f"OCRDET_UDS={path} cannot be listened on: {error.strerror or error}."
        ) from error
    except ConfigurationError:
        sock.close()
        raise
    return sock


def _remove_stale(path: Path) -> None:
    """Remove what a process that was killed has left.

    Raises:
        ConfigurationError: Something else is at that path; it stays.
    """
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise ConfigurationError(
            f"OCRDET_UDS={path} is a file but no socket; remove it or choose another path."
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise ConfigurationError(
        f"OCRDET_UDS={path} is in use by another program; stop it or choose another path."
    )
