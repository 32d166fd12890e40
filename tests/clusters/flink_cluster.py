"""Flink as a real cluster on this machine, from the package: a job manager, and task managers that can be killed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import yaml

from tests.support.process_groups import PATIENCE, end_group, start_group
from tests.support.processes import ROOT, free_port

PYTHON = ROOT / ".venv-engines" / "flink" / "bin" / "python"
#: How a JVM starts fastest.
SHORT_LIVED = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"


def until(what: str, condition: Callable[[], Any]) -> Any:
    """Wait for a condition, and return what it gave."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)
    return found


class Flink:
    """A cluster, for as long as the context lasts; its memory is small, its checkpoints are frequent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = next(PYTHON.parents[1].glob("lib/python3*/site-packages/pyflink"))
        self.rest = free_port()
        self._conf = folder / "conf"
        self._managers: list[subprocess.Popen[bytes]] = []
        self._master: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        shutil.copytree(self.home / "conf", self._conf)
        (self._conf / "config.yaml").write_text(yaml.safe_dump(self._configuration()))
        self._master = self._start("jobmanager")
        self.add_task_manager()
        self.add_task_manager()
        until("two task managers", lambda: len(self.ask("/taskmanagers", {}).get("taskmanagers", ())) == 2)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for process in (*self._managers, self._master):
            if process is not None:
                end_group(process)
        if kind is not None:
            for log in sorted((self.folder / "log").glob("*.out")):
                print(log.name, log.read_text()[-4000:], sep="\n")  # noqa: T201 - of a test that failed

    def add_task_manager(self) -> None:
        """Start a task manager; it has one slot."""
        self._managers.append(self._start("taskmanager"))

    def kill_task_manager(self) -> None:
        """Kill the task manager that was started first, and all that it started."""
        end_group(self._managers.pop(0))

    def submit(self, *arguments: str, parallelism: int, savepoint: str | None = None) -> str:
        """Submit the tests' job; returns its id."""
        resumed = ["--fromSavepoint", savepoint] if savepoint else []
        job = ["-py", str(ROOT / "tests/clusters/flink_job.py"), *arguments]
        told = self._run("run", "--detached", "-p", str(parallelism), *resumed, *job)
        found = re.search(r"JobID (\w{32})", told)
        assert found, told
        return found[1]

    def stop(self, job: str) -> str:
        """Stop a job with a savepoint; returns the savepoint's address."""
        wanted = {"targetDirectory": f"file://{self.folder}/savepoints", "drain": False}
        asked = self.ask(f"/jobs/{job}/stop", {}, json.dumps(wanted).encode())
        path = f"/jobs/{job}/savepoints/{asked['request-id']}"
        until("a savepoint", lambda: self.ask(path, {}).get("status", {}).get("id") == "COMPLETED")
        done = self.ask(path, {})["operation"]
        assert "location" in done, done
        return str(done["location"])

    def state(self, job: str) -> str:
        """Return a job's state."""
        return str(self.ask(f"/jobs/{job}", {}).get("state"))

    def checkpoints(self, job: str) -> dict[str, int]:
        """Count a job's checkpoints: `completed`, `restored`, `failed`, …."""
        return dict(self.ask(f"/jobs/{job}/checkpoints", {}).get("counts", {}))

    def ask(self, path: str, otherwise: Any, data: bytes | None = None) -> Any:
        """Ask the job manager, or tell it `data`; while it does not answer, `otherwise` is the answer."""
        url, headers = f"http://127.0.0.1:{self.rest}{path}", {"Content-Type": "application/json"}
        asked = urllib.request.Request(url, data, headers)
        try:
            with urllib.request.urlopen(asked, timeout=20.0) as answer:  # noqa: S310 - our own
                return json.load(answer)
        except OSError:
            return otherwise

    def _run(self, *arguments: str) -> str:
        command = [str(self.home / "bin" / "flink"), *arguments]
        done = subprocess.run(  # noqa: S603 - the package's own
            command, env=self._environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _start(self, what: str) -> subprocess.Popen[bytes]:
        (self.folder / "log").mkdir(exist_ok=True)
        number = len(list((self.folder / "log").glob("*.out")))
        with (self.folder / "log" / f"{number}-{what}.out").open("wb") as log:
            return start_group([str(self.home / "bin" / f"{what}.sh"), "start-foreground"], log, self._environment())

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "FLINK_CONF_DIR": str(self._conf),
            "FLINK_HOME": str(self.home),
            "FLINK_LOG_DIR": str(self.folder / "log"),
            "PYFLINK_CLIENT_EXECUTABLE": str(PYTHON),
            "PATH": f"{PYTHON.parent}:{os.environ['PATH']}",
        }

    def _configuration(self) -> dict[str, object]:
        usual = yaml.safe_load((self.home / "conf" / "config.yaml").read_text())
        return {
            "env.java.opts.all": f"{usual['env']['java']['opts']['all']} {SHORT_LIVED}",
            "jobmanager.rpc.address": "127.0.0.1",
            "jobmanager.rpc.port": free_port(),
            "jobmanager.bind-host": "127.0.0.1",
            "rest.address": "127.0.0.1",
            "rest.port": self.rest,
            "rest.bind-port": self.rest,
            "taskmanager.bind-host": "127.0.0.1",
            "taskmanager.host": "127.0.0.1",
            "taskmanager.numberOfTaskSlots": 1,
            "io.tmp.dirs": str(self.folder / "tmp"),
            "jobmanager.memory.heap.size": "192m",
            "jobmanager.memory.off-heap.size": "96m",
            "jobmanager.memory.jvm-metaspace.size": "192m",
            "jobmanager.memory.jvm-overhead.min": "64m",
            "taskmanager.memory.framework.heap.size": "96m",
            "taskmanager.memory.task.heap.size": "128m",
            "taskmanager.memory.managed.size": "128m",
            "taskmanager.memory.network.min": "32m",
            "taskmanager.memory.network.max": "32m",
            "taskmanager.memory.jvm-metaspace.size": "192m",
            "taskmanager.memory.jvm-overhead.min": "64m",
            "python.executable": str(PYTHON),
            "python.client.executable": str(PYTHON),
            # checkpoints wait for bundles, and rows may come slowly
            "python.fn-execution.bundle.size": 1,
            "execution.checkpointing.interval": "500ms",
            "execution.checkpointing.dir": f"file://{self.folder}/checkpoints",
            "restart-strategy.type": "fixed-delay",
            "restart-strategy.fixed-delay.attempts": 100,
            "restart-strategy.fixed-delay.delay": "1s",
            "heartbeat.interval": 1000,
            "heartbeat.timeout": 10000,
        }
