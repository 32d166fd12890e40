"""One process a data folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from streamnorm.errors import StoreInUse, StoreUnavailable
from streamnorm.stores.local.folder_lock import acquire_folder
from tests.support.store_processes import running

HOLDER = """
import pathlib, sys, time
from streamnorm.stores.local.folder_lock import acquire_folder
with acquire_folder(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_with_the_folder_and_the_pid(tmp_path: Path) -> None:
    with running(HOLDER, tmp_path) as (pid, printed):
        assert printed.readline() == "held\n"
        told = re.escape(f"{tmp_path} is in use by process {pid}")
        with pytest.raises(StoreInUse, match=told), acquire_folder(tmp_path):
            pass


def test_a_refused_process_leaves_the_holders_pid_in_place(tmp_path: Path) -> None:
    with acquire_folder(tmp_path):
        for _ in range(2):
            with pytest.raises(StoreInUse, match=f"by process {os.getpid()}$"), acquire_folder(tmp_path):
                pass


def test_the_lock_dies_with_a_killed_process(tmp_path: Path) -> None:
    with running(HOLDER, tmp_path) as (_, printed):
        assert printed.readline() == "held\n"
    with acquire_folder(tmp_path):
        assert (tmp_path / "streamnorm.lock").read_text() == f"{os.getpid()}\n"


def test_a_released_folder_can_be_held_again(tmp_path: Path) -> None:
    with acquire_folder(tmp_path):
        pass
    with acquire_folder(tmp_path):
        pass


def test_a_missing_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    with acquire_folder(tmp_path / "var" / "lib"):
        assert (tmp_path / "var" / "lib").is_dir()


def test_a_file_in_the_folders_place_is_told(tmp_path: Path) -> None:
    place = tmp_path / "data"
    place.write_text("a file")
    with pytest.raises(StoreUnavailable, match=r"data: it is not a folder$"), acquire_folder(place):
        pass


def test_a_folder_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with (
        pytest.raises(StoreUnavailable, match=r"data/below: Not a directory$"),
        acquire_folder(tmp_path / "data" / "below"),
    ):
        pass


def test_a_folder_that_cannot_be_written_is_told(sealed: Path) -> None:
    with pytest.raises(StoreUnavailable, match=f"{sealed}: Permission denied$"), acquire_folder(sealed):
        pass


def test_a_folder_that_cannot_be_made_is_told(sealed: Path) -> None:
    with pytest.raises(StoreUnavailable, match=f"{sealed}/data: Permission denied$"), acquire_folder(sealed / "data"):
        pass
