"""The flow of the page runs in a real Node-RED, by its own HTTP request node."""

from __future__ import annotations

import os
from pathlib import Path

from streamnorm_client import Client, StreamNotFound
from tests.support.broker import until
from tests.support.docs_page import PAGE, ROOT
from tests.support.process_groups import end_group, start_group
from tests.support.processes import Service, free_port

NODE_RED = ROOT / ".venv-peers" / "node" / "node_modules" / ".bin" / "node-red"


def test_the_flow_sends_readings_and_shows_the_answers(tmp_path: Path) -> None:
    folder, log = tmp_path / "node-red", tmp_path / "node-red.log"
    folder.mkdir()
    with Service(tmp_path) as service:
        flow = (PAGE.parent / "examples" / "node-red.json").read_text()
        (folder / "flow.json").write_text(flow.replace("http://127.0.0.1:8000", service.url))
        settings = f"module.exports = {{ uiHost: '127.0.0.1', uiPort: {free_port()}, flowFile: 'flow.json' }}"
        (folder / "settings.js").write_text(settings)
        with log.open("wb") as out:
            command = [str(NODE_RED), "--userDir", str(folder), "--settings", str(folder / "settings.js")]
            environment = {**os.environ, "PATH": f"{ROOT / '.venv-peers' / 'bin'}:{os.environ['PATH']}"}
            process = start_group(command, out, environment)  # its command is a wrapper, which starts another process
        try:
            with Client(service.url) as client:
                until(lambda: _count(client) >= 3)
            until(lambda: "values: { temp:" in log.read_text())
        finally:
            end_group(process)


def _count(client: Client) -> int:
    try:
        return client.stream("node-red").info().count
    except StreamNotFound:
        return 0
