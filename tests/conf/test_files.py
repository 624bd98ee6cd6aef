"""Files on a disk that is full: one message, and nothing half written."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conf.faults import BadInput
from conf.files import (
    WriteFailed,
    atomic_path,
    is_disk_failure,
    read_json,
    read_object,
    require_folder,
    reserved_space,
    write_bytes,
    write_json,
)
from tests.jobs.running import ROOT

LIMITED = """
import resource, sys
from conf.files import WriteFailed, write_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
write_bytes(sys.argv[1], bytes(4096))
try:
    write_bytes(sys.argv[1], bytes(10_000))
except WriteFailed as error:
    print(error)
"""


def test_a_file_that_may_not_be_so_large_is_told_and_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "x"
    command = [sys.executable, "-c", LIMITED, str(target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"cannot write {target}: File too large; ")
    assert [path.name for path in tmp_path.iterdir()] == ["x"] and target.read_bytes() == bytes(4096)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("only a superuser who may mount file systems can make a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_told_with_what_is_missing_and_the_reserve_is_enough_for_last_words(disk: Path) -> None:
    with reserved_space(disk, 2**18) as give_back:
        with pytest.raises(WriteFailed) as raised:
            write_bytes(disk / "sub" / "x", bytes(3 * 2**20))
        message = str(raised.value)
        assert message.startswith(f"cannot write {disk / 'sub' / 'x'}: No space left on device; 76")
        assert message.endswith("KiB are free on its disk, the file needs 3.0 MiB: at least 2.2 MiB are missing")
        assert is_disk_failure(raised.value)
        with (disk / "ballast").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))
        with pytest.raises(WriteFailed, match="No space left"):
            write_json(disk / "state.json", {"state": "failed"})
        give_back()
        write_json(disk / "state.json", {"state": "failed"})
    assert sorted(path.name for path in disk.iterdir()) == ["ballast", "state.json", "sub"]


def test_a_disk_without_room_for_the_reserve_is_told(disk: Path) -> None:
    with pytest.raises(WriteFailed, match="No space left"), reserved_space(disk, 2**21):
        pass
    assert list(disk.iterdir()) == []


def test_errors_of_other_files_in_the_block_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "x"):
        (tmp_path / "missing").read_bytes()
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteFailed, match=r"cannot write .*file/x: "):
        write_bytes(tmp_path / "file" / "x", b"")


def test_a_failed_write_travels_between_processes() -> None:
    copy = pickle.loads(pickle.dumps(WriteFailed("cannot write x")))
    assert isinstance(copy, WriteFailed) and str(copy) == "cannot write x" and is_disk_failure(copy)
    assert is_disk_failure(OSError(errno.ENOSPC, "full")) and not is_disk_failure(OSError(errno.ENOENT, "missing"))
    assert not is_disk_failure(None)


def test_a_json_file_has_no_raw_control_character_and_is_read_back_unchanged(tmp_path: Path) -> None:
    error = "\x1b]0;title\x07 \x9b31m red \u202e drow \x85 \u2066 \x7f \udc80 東京\n"
    write_json(tmp_path / "progress.json", {"failures": [{"unit": error, error: error}]})
    raw = (tmp_path / "progress.json").read_text(encoding="utf-8")
    assert not [letter for letter in raw if not letter.isprintable() and letter != "\n"]
    assert "東京" in raw
    assert read_json(tmp_path / "progress.json") == {"failures": [{"unit": error, error: error}]}


def test_a_pipe_in_place_of_a_file_of_ours_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "limits.json")
    assert read_object(tmp_path / "limits.json") is None


def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(BadInput, match=r"--output: got '.*/taken/charts'; allowed: a folder\. .*/taken is a file\."):
        require_folder(tmp_path / "taken" / "charts", "--output")
