"""One server: a process of its own, a folder of its own, a port that nobody else uses."""

from __future__ import annotations

import os
import random
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis

from redis_rig import binaries
from redis_rig.kept import kept
from redis_rig.waiting import until

HOST = "127.0.0.1"
PLAIN: dict[str, Any] = {"socket_timeout": 10, "protocol": 2, "retry": None}
_ports = random.SystemRandom()
_given: set[int] = set()


def port_range() -> range:
    """Return the ports of this process of the test run.

    They are below those that outgoing connections take: a server that is restarted must find
    its port free, and a client that knocks at a closed port of those may be given the same one
    as its own, and be connected to itself. Each worker has its own, for the same reason.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    # One that takes a crashed worker's place is counted on.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % workers
    outgoing = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first, end = 10_000, int(outgoing.read_text().split()[0]) if outgoing.exists() else 32_000
    if end - first < 2_000:
        end = 32_000  # there is not enough below them
    share = (end - first) // workers
    return range(first + worker * share, first + (worker + 1) * share)


def free_port() -> int:
    """Return a port that is free, and has not been given out before."""
    ports = [port for port in port_range() if port not in _given]
    _ports.shuffle(ports)
    for port in ports:
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError("no port is left for a server")


class Server:
    """A server that can be killed, stopped, resumed, restarted and closed to the public.

    Args:
        binary: The program; Valkey by default.
        password: What `requirepass` and `masterauth` are set to.
        options: Settings of the server, `_` for `-`; they are kept over restarts.
    """

    def __init__(
        self, binary: Path | None = None, *, password: str | None = None, **options: object
    ) -> None:
        self.binary = binary or binaries.valkey()
        self.password = password
        self.options = options
        self.folder = kept().new_folder()
        self.socket = self.folder / "s"
        self.port = 0
        self.pid = 0
        self.bring_up()

    # --------------------------------------------------------------------- its life

    def bring_up(self) -> None:
        """Start on a free port; on another one if somebody was faster."""
        for _ in range(20):
            self.port = free_port()
            if self.launch():
                return
        raise RuntimeError(f"{self.binary} does not start: {self.log()[-2000:]}")

    def launch(self) -> bool:
        """Start the process, and tell whether it is the one that answers at the port."""
        self.pid = kept().ask(start=self.command(), folder=str(self.folder))
        try:
            return until(self.answers, f"{self.binary.name} answers at port {self.port}")
        except ProcessLookupError:
            kept().ask(forget=self.pid)
            self.pid = 0
            return False

    def command(self) -> list[str]:
        settings: dict[str, object] = {
            "port": self.port,
            "bind": HOST,
            "unixsocket": self.socket,
            "dir": self.folder,
            "logfile": self.folder / "log",
            "save": "",
            "repl-diskless-sync": "yes",
            "repl-diskless-sync-delay": 0,
            **{name.replace("_", "-"): value for name, value in self.options.items()},
        }
        if self.password is not None:
            settings |= {"requirepass": self.password, "masterauth": self.password}
        words = [str(self.binary)]
        for name, value in settings.items():
            words += [f"--{name}", str(value)]
        return words

    def answers(self) -> bool:
        """Tell whether it serves; raise `ProcessLookupError` when it has ended instead."""
        if _ended(self.pid):
            raise ProcessLookupError(self.pid)
        try:
            with self.client() as client:
                # Another server may have taken the port; they all answer alike.
                return client.info("server")["process_id"] == self.pid
        except redis.RedisError:
            return False

    def kill(self) -> None:
        """End it as a crash would, and wait until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        kept().ask(wait=self.pid)

    def restart(self) -> None:
        """Start it again at the same port, with what it finds in its folder."""
        kept().ask(forget=self.pid)
        self.socket.unlink(missing_ok=True)
        if not self.launch():
            raise RuntimeError(f"{self.binary} does not come back: {self.log()[-2000:]}")

    def shut_down(self) -> None:
        """End it in good order, with all it holds written to its folder."""
        with self.control() as client:
            client.shutdown(save=True)
        kept().ask(wait=self.pid)

    def stop(self) -> None:
        """Let it hang: it is there, and does nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it for good."""
        if self.pid:
            kept().ask(forget=self.pid)
            self.pid = 0

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------- how to get at it

    @property
    def url(self) -> str:
        return f"redis://{self.login}{HOST}:{self.port}/0"

    @property
    def login(self) -> str:
        return "" if self.password is None else f":{quote(self.password, safe='')}@"

    def client(self, **options: Any) -> redis.Redis:
        """Return a client through the front door; it is a context manager."""
        return redis.Redis(
            **{
                "host": HOST,
                "port": self.port,
                "password": self.password,
                **PLAIN,
                **options,
            }
        )

    def control(self) -> redis.Redis:
        """Return a client through the back door, which is open when the front door is not."""
        return redis.Redis(
            unix_socket_path=str(self.socket),
            password=self.password,
            **PLAIN,
        )

    @contextmanager
    def closed_to_the_public(self) -> Iterator[None]:
        """Refuse connections and cut those that are there, while it keeps all it holds.

        Not on Redis 6.2, which cannot change its port.
        """
        with self.control() as client:
            client.config_set("port", 0)
            client.client_kill_filter(_type="normal", skipme=True)
            client.client_kill_filter(_type="pubsub", skipme=True)
            try:
                yield
            finally:
                client.config_set("port", self.port)

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else "(it wrote no log)"


def _ended(pid: int) -> bool:
    """Tell whether a process has ended: it may still be waited for by the keeper."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
