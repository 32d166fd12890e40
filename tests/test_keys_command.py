"""Keys as people make and revoke them, beside a running service; and TLS."""

from __future__ import annotations

import re
import ssl
import time
from pathlib import Path

import httpx
from typer.testing import Result

from tests.support.certificates import certificate
from tests.support.commands import invoke
from tests.support.processes import PATIENCE, STEP, Service

READING = {"values": {"temp": 21.4}}


def run(folder: Path, *arguments: str) -> Result:
    """Run the program, in this process."""
    env = {"STREAMNORM_DATA_DIR": str(folder / "data"), "COLUMNS": "120", "NO_COLOR": "1"}
    return invoke(arguments, env=env)


def bearer(key: str) -> dict[str, str]:
    """Build the header that carries a key."""
    return {"authorization": f"Bearer {key}"}


def test_a_service_that_others_can_reach_makes_one_key_and_prints_it_once(tmp_path: Path) -> None:
    with Service(tmp_path, STREAMNORM_HOST="0.0.0.0") as service:  # noqa: S104 - a key guards it
        (key,) = re.findall(r"sn_\S+", service.log.read_text())
        assert httpx.get(f"{service.url}/v1/streams").status_code == 401
        assert httpx.get(f"{service.url}/v1/streams", headers=bearer(key)).status_code == 200
        service.restart()
        assert re.findall(r"sn_\S+", service.log.read_text()) == [key]
        assert httpx.get(f"{service.url}/v1/streams", headers=bearer(key)).status_code == 200


def test_a_service_that_asks_for_no_key_says_what_that_means(tmp_path: Path) -> None:
    with Service(tmp_path, STREAMNORM_HOST="0.0.0.0", STREAMNORM_INSECURE="1") as service:  # noqa: S104 - as meant
        assert httpx.get(f"{service.url}/v1/streams").status_code == 200
        assert "anyone who can reach it may do everything" in service.log.read_text()


def test_keys_are_made_listed_and_revoked_while_the_service_runs(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        made = run(tmp_path, "keys", "create", "boiler-gateway", "--scope", "observe", "--prefix", "boiler-")
        key, path = made.stdout.strip(), f"{service.url}/v1/streams/boiler-7/readings"
        where = f"at the service of the data folder {tmp_path}/data"
        assert made.stderr == f"may observe on streams that begin with boiler-, {where}; shown only this once:\n"
        deadline = time.monotonic() + PATIENCE
        while httpx.post(path, json=READING).status_code != 401 and time.monotonic() < deadline:
            time.sleep(STEP)  # the first key ever is noticed at the next look
        assert httpx.post(path, json=READING).status_code == 401
        assert httpx.post(path, json=READING, headers=bearer(key)).status_code == 200
        key_id = key.split("_")[1]
        listed = run(tmp_path, "keys", "list").stdout
        line = rf"^{key_id} +boiler-gateway +observe +boiler- +\d{{4}}-\d\d-\d\d \d\d:\d\d *$"
        assert re.search(line, listed, re.MULTILINE)
        assert key not in listed
        assert run(tmp_path, "keys", "revoke", key_id).stdout == f"revoked {key_id}\n"
        while httpx.post(path, json=READING, headers=bearer(key)).status_code != 401 and time.monotonic() < deadline:
            time.sleep(STEP)
        assert httpx.post(path, json=READING, headers=bearer(key)).status_code == 401


def test_a_folder_without_keys_is_named(tmp_path: Path) -> None:
    result = run(tmp_path, "keys", "list")
    told = f"there is no key for the service of the data folder {tmp_path}/data\n"
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", told)


def test_revoking_what_is_no_key_is_told(tmp_path: Path) -> None:
    result = run(tmp_path, "keys", "revoke", "00000000")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "there is no key '00000000' that is not revoked\n"


def test_a_damaged_file_of_keys_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "keys.db").write_bytes(b"garbage " * 100)
    result = run(tmp_path, "keys", "list")
    assert (result.exit_code, result.stderr) == (
        1,
        f"cannot use {tmp_path}/data/keys.db: file is not a database\n",
    )


def test_it_speaks_https_with_a_certificate(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    service = Service(tmp_path, STREAMNORM_SSL_CERTFILE=str(cert), STREAMNORM_SSL_KEYFILE=str(key))
    service.url = f"https://localhost:{service.port}"
    service.verify = ssl.create_default_context(cafile=str(cert))
    with service:
        url = f"{service.url}/v1/streams/boiler-7/readings"
        assert httpx.post(url, json=READING, verify=service.verify).json()["count"] == 1
        assert f"listens on https://127.0.0.1:{service.port}" in service.log.read_text()


def test_a_certificate_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    result = run(tmp_path, "serve", "--port", "0", "--ssl-certfile", str(tmp_path / "none.pem"))
    message = f"--ssl-certfile: cannot use {tmp_path}/none.pem: No such file or directory\n"
    assert (result.exit_code, result.stderr) == (2, message)
