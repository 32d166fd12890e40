"""Real Redis servers on this machine: one, or a cluster of three masters with two replicas each; and ours on them."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

import redis

from tests.support.processes import PATIENCE, STEP, Service, free_port

#: Milliseconds of silence after which a cluster's node counts as failed; in production five or more seconds.
NODE_TIMEOUT = 2000
MASTERS, REPLICAS = 3, 2
SLOTS = 16384


class Server:
    """A redis-server with a port and a folder of its own."""

    def __init__(self, folder: Path, *options: str, ports: tuple[int, int] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port, self.bus = ports or (free_port(), 0)
        self.url = f"redis://127.0.0.1:{self.port}"
        self._options = ["--port", str(self.port), "--dir", str(folder), "--bind", "127.0.0.1", "--save", "", *options]
        if ports:
            self._options += ["--cluster-enabled", "yes", "--cluster-port", str(self.bus)]
            self._options += ["--cluster-node-timeout", str(NODE_TIMEOUT), "--cluster-replica-validity-factor", "0"]
            self._options += ["--repl-diskless-sync-delay", "0"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start, and wait until it answers."""
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("there is no redis-server: apt-get install redis-server")
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen([program, *self._options], stdout=log, stderr=log)  # noqa: S603
        try:
            wait_until(self._answers)
        except BaseException:
            self.kill()
            raise
        return self

    def client(self) -> redis.Redis:
        """Return a client of this server alone."""
        return redis.Redis(port=self.port, protocol=2, legacy_responses=True)

    def do(self, *command: str | int) -> Any:
        """Send one command."""
        with self.client() as client:
            return client.execute_command(*command)

    def signal(self, which: signal.Signals) -> None:
        """Send a signal: SIGSTOP freezes it, SIGCONT lets it go on."""
        assert self._process is not None
        self._process.send_signal(which)

    def kill(self) -> None:
        """Kill it on the spot."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Leave nothing running."""
        self.kill()

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError((self.folder / "server.log").read_text())
        try:
            return bool(self.do("PING"))
        except redis.ConnectionError:
            return False


class Cluster:
    """Masters with their replicas."""

    def __init__(self, masters: list[Server], replicas: list[Server]) -> None:
        self.masters = masters
        self.replicas = replicas
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in masters)

    def whole(self) -> bool:
        """Return whether every node sees all slots served, and every replica follows its master."""
        ok = all("cluster_state:ok" in text(server.do("CLUSTER", "INFO")) for server in self.masters + self.replicas)
        return ok and all(self.followers(server) == REPLICAS for server in self.masters)

    @staticmethod
    def followers(master: Server) -> int:
        """Count the replicas that have all that a master has."""
        with master.client() as client:
            info = client.info("replication")
        return sum(info[f"slave{number}"]["state"] == "online" for number in range(info["connected_slaves"]))


def text(reply: Any) -> str:
    """Return a reply as text, whatever form the client has given it."""
    if isinstance(reply, bytes):
        return reply.decode()
    if isinstance(reply, dict):
        return "\n".join(f"{key}:{value}" for key, value in reply.items())
    return str(reply)


def follows(server: Server, master: str) -> bool:
    """Have a node of a cluster follow a master, by its name; tells whether it does, for it has to hear of it first."""
    try:
        server.do("CLUSTER", "REPLICATE", master)
    except redis.ResponseError:
        return False
    return True


def free_ports(number: int) -> list[int]:
    """Find ports that nobody listens on, each another."""
    with ExitStack() as held:
        return [held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(number)]


def wait_until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so within {patience} s: {condition}")
        time.sleep(STEP)


@contextmanager
def cluster(folder: Path, *options: str) -> Iterator[Cluster]:
    """Start a cluster; `options` are those of every server."""
    with ExitStack() as running:
        total = MASTERS * (1 + REPLICAS)
        ports = free_ports(2 * total)
        servers = [
            Server(folder / str(number), *options, ports=pair)
            for number, pair in enumerate(zip(ports[::2], ports[1::2], strict=True))
        ]
        for server in servers:
            running.enter_context(server)
        masters, replicas = servers[:MASTERS], servers[MASTERS:]
        for epoch, server in enumerate(servers, 1):
            server.do("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        for place, server in enumerate(masters):
            first, after = place * SLOTS // MASTERS, (place + 1) * SLOTS // MASTERS
            server.do("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
        for server in servers[1:]:
            servers[0].do("CLUSTER", "MEET", "127.0.0.1", server.port, server.bus)
        names = [text(server.do("CLUSTER", "MYID")) for server in masters]
        for place, server in enumerate(replicas):
            wait_until(partial(follows, server, names[place % MASTERS]))
        made = Cluster(masters, replicas)
        wait_until(made.whole)
        yield made


@contextmanager
def replicas(folder: Path, store: str, number: int, **environment: str) -> Iterator[list[Service]]:
    """Start replicas of the service on a store."""
    made = []
    try:
        for place in range(number):
            own = folder / f"replica-{place}"
            own.mkdir()
            made.append(Service(own, STREAMNORM_STORE=store, **environment))
        with ThreadPoolExecutor() as pool:  # they take their time, mostly to import
            list(pool.map(Service.start, made))
        yield made
    finally:
        for service in made:
            service.kill()
