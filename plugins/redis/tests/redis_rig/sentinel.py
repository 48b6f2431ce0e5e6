"""Three Sentinels that watch a primary and its replica."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import redis

from redis_rig.servers import HOST, Server
from redis_rig.waiting import until

SERVICE = "main"


class Sentinels:
    """A primary, a replica, and three Sentinels that agree on which is which.

    Args:
        password: Of primary and replica; the Sentinels have none.
        down_after: Milliseconds after which a silent primary is taken for dead, from when all
            have agreed.
    """

    def __init__(self, *, password: str | None = None, down_after: int = 2000) -> None:
        self.password = password
        self.primary = Server(password=password, repl_ping_replica_period=1)
        self.replica = Server(
            password=password,
            repl_ping_replica_period=1,
            replicaof=f"{HOST} {self.primary.port}",
        )
        self.data = [self.primary, self.replica]
        self.sentinels = [Sentinel(self.primary) for _ in range(3)]
        self.settle()
        for each in self.sentinels:
            each.judge_after(down_after)

    def settle(self) -> None:
        """Wait until all know of each other, and the replica follows."""
        until(lambda: all(each.well() for each in self.sentinels), "the Sentinels agree")
        until(self.replicated, "the replica follows")

    def replicated(self) -> bool:
        with self.replica.control() as client:
            role = client.info("replication")
        return role["role"] == "slave" and role["master_link_status"] == "up"

    def current(self) -> Server:
        """Return the primary as the Sentinels see it."""
        ports = {each.primary_port() for each in self.sentinels if each.pid}
        found = [server for server in self.data if {server.port} == ports]
        return found[0] if found else self.primary

    @property
    def url(self) -> str:
        hosts = ",".join(f"{HOST}:{each.port}" for each in self.sentinels)
        return f"redis+sentinel://{self.primary.login}{hosts}/{SERVICE}/0"

    @contextlib.contextmanager
    def closed_to_the_public(self) -> Iterator[None]:
        """Close both data servers; the Sentinels go on pointing at the primary."""
        with contextlib.ExitStack() as stack:
            for server in self.data:
                stack.enter_context(server.closed_to_the_public())
            yield

    def stop(self) -> None:
        for server in (*self.sentinels, *self.data):
            server.stop()

    def resume(self) -> None:
        for server in (*self.data, *self.sentinels):
            server.resume()
        self.settle()

    def close(self) -> None:
        for server in (*self.sentinels, *self.data):
            server.close()

    def __enter__(self) -> Sentinels:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Sentinel(Server):
    """One Sentinel; it writes what it learns into its configuration."""

    def __init__(self, primary: Server) -> None:
        self.watched = primary
        self.down_after = 60_000  # at first: a service that is being set up may be slow
        super().__init__()

    def command(self) -> list[str]:
        path = self.folder / "sentinel.conf"
        lines = [
            f"port {self.port}",
            f"bind {HOST}",
            f"dir {self.folder}",
            f"logfile {self.folder / 'log'}",
            f"sentinel monitor {SERVICE} {HOST} {self.watched.port} 2",
            f"sentinel down-after-milliseconds {SERVICE} {self.down_after}",
            f"sentinel failover-timeout {SERVICE} 6000",
            f"sentinel parallel-syncs {SERVICE} 1",
        ]
        if self.watched.password is not None:
            lines.append(f'sentinel auth-pass {SERVICE} "{self.watched.password}"')
        path.write_text("\n".join(lines) + "\n")
        return [str(self.binary), str(path), "--sentinel"]

    def judge_after(self, down_after: int) -> None:
        self.down_after = down_after
        with self.client() as client:
            client.execute_command(
                "SENTINEL", "SET", SERVICE, "down-after-milliseconds", down_after
            )

    def primary_port(self) -> int:
        with self.client() as client:
            _, port = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return int(port)

    def well(self) -> bool:
        try:
            with self.client() as client:
                state = client.sentinel_master(SERVICE)
        except redis.RedisError:
            return False
        known = state["num-other-sentinels"] == 2 and state["num-slaves"] == 1
        return known and not state["is_sdown"] and not state["is_odown"]
