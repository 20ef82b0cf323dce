"""Files whole or not at all, one writer a folder, and the file system's errors in one sentence."""

import errno
import os
import stat
import subprocess
import sys

import pytest

from pinn_ngd.experiments import RunFolder
from pinn_ngd.storage import FolderError
from pinn_ngd.storage.files import clean, read_json, safe_name, write_bytes, write_text
from pinn_ngd.storage.lock import locked
from pinn_ngd.storage.reading import read_config, read_history, read_result
from pinn_ngd.training import AbstractCallback
from tests.training.helpers import solve


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_modes_follow_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "a", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), OSError(5)])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.json"
    write_text(path, "old")

    def fail(file):
        file.write(b"half")
        raise error

    with pytest.raises((FolderError, KeyboardInterrupt)):
        write_bytes(path, fail)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_leftovers_are_cleaned_and_other_files_are_not(tmp_path):
    names = (".a.json.01ab23cd.tmp", "a.json", ".b.json.mine.tmp", "notes.tmp", "x.01ab23cd.tmp")
    for name in names:
        (tmp_path / name).touch()
    clean(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == set(names[1:])


def test_names_become_file_names():
    assert safe_name("poisson-2d-engd-tr-0") == "poisson-2d-engd-tr-0"
    for name in ("../../etc/passwd", "[/red]", "a\0b", "~/x", "a/b\\c", ".hidden", "é" * 500, ""):
        safe = safe_name(name)
        assert 0 < len(safe) <= 120
        assert not set(safe) & set("/\\[]\0~")
        assert not safe.startswith(".")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "no space is left on the disk: free some"),
        (errno.EDQUOT, "your disk quota is used up"),
        (errno.EACCES, "permission is denied: choose a folder that you may write to"),
        (errno.EROFS, "the disk is read-only"),
        (errno.EIO, "Input/output error"),
    ],
)
@pytest.mark.parametrize("when", ["start", "write"])
def test_what_the_disk_refuses_is_one_sentence_and_loses_nothing(
    tmp_path, monkeypatch, code, words, when
):
    folder = RunFolder(tmp_path / "run")
    folder.write_config({"seed": 3})
    solve(steps=3, checkpoint=folder.checkpoint(), callbacks=[folder.writer()])
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}

    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    if when == "start":
        monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(FolderError, match=words) as caught:
        folder.write_config({"seed": 4}, fresh=True)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert before == {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}


def test_a_disk_that_is_full_in_mid_run_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path / "run")

    class Fill(AbstractCallback):
        def on_step(self, record, model):
            del model
            if record["step"] == 4:
                monkeypatch.setattr(os, "fsync", refuse)

        def on_end(self, result):
            self.result = result

    def refuse(*_):
        raise OSError(errno.ENOSPC, "full")

    fill = Fill()
    with pytest.raises(FolderError, match="no space is left"):
        solve(steps=9, checkpoint=folder.checkpoint(0.0), callbacks=[fill])
    monkeypatch.undo()
    assert fill.result.status == "failed"
    rest = solve(steps=9, checkpoint=folder.checkpoint(), resume=True)
    assert [line["step"] for line in rest.history] == [4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("file", "a file or a device"),
        ("file/below", "is a file or a device"),
        ("device", "a file or a device"),
        ("n" * 300, "longer than the file system allows"),
        ("a\0b", "a NUL character"),
    ],
)
def test_a_path_that_is_no_folder_is_one_sentence(tmp_path, name, words):
    (tmp_path / "file").write_text("precious")
    path = "/dev/null" if name == "device" else tmp_path / name
    with pytest.raises(FolderError, match=words) as caught, RunFolder(path).lock():
        pass
    assert "\n" not in str(caught.value)
    assert "\0" not in str(caught.value)
    with pytest.raises(FolderError):
        RunFolder(path).write_config({})
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_without_permission_is_one_sentence(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(FolderError, match="permission is denied"), RunFolder(tmp_path).lock():
        pass
    tmp_path.chmod(0o700)


def test_a_second_writer_is_refused_and_a_later_one_is_not(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.lock():
        with pytest.raises(FolderError, match=f"another run .*process {os.getpid()} on .*wait"):
            folder.lock().__enter__()
        (folder.path / "kept").touch()
    assert [path.name for path in folder.path.iterdir()] == ["kept"]
    with folder.lock():
        pass


def test_an_empty_folder_that_was_made_for_nothing_is_removed(tmp_path):
    with pytest.raises(RuntimeError), locked(tmp_path / "new"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path):  # but not one that was there
        pass
    assert tmp_path.is_dir()


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    code = f"""
import os, pathlib, signal
from pinn_ngd.storage.lock import locked
with locked(pathlib.Path({str(tmp_path)!r})):
    print("locked", flush=True)
    signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(FolderError, match=f"process {other.pid} on"), locked(tmp_path):
            pass
        other.kill()
        other.wait()
    assert (tmp_path / ".lock").is_file()
    with locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_is_a_warning(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr("pinn_ngd.storage.lock.fcntl.flock", refuse)
    with pytest.warns(UserWarning, match="has no locks: see to it yourself"), locked(tmp_path):
        pass
    monkeypatch.setattr("pinn_ngd.storage.lock.fcntl", None)
    with pytest.warns(UserWarning, match="has no locks"), locked(tmp_path):
        pass


BAD = [b"", b"[]", b"null", b"3", b"\xff\xfe{}", b'{"settings": {"a": 1', b"[" * 100_000, b"{]"]


@pytest.mark.parametrize("data", BAD)
def test_damaged_files_are_one_sentence_and_damaged_lines_are_left_out(tmp_path, data):
    for name in ("config.json", "result.json"):
        (tmp_path / name).write_bytes(data)
    for read in (read_config, read_result):
        with pytest.raises(FolderError, match="is damaged or no file of a run"):
            read(tmp_path)
    if data not in (b"null",):
        assert not isinstance(read_json(tmp_path / "config.json"), dict)
    history = tmp_path / "history.jsonl"
    history.write_bytes(b'{"step": 1}\n' + data + b"\n" + b'{"step": 2}\n' + data)
    with pytest.warns(UserWarning, match="1 of . lines"):
        assert [line["step"] for line in read_history(tmp_path)] == [1, 2]


def test_a_config_that_no_run_wrote_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"hidden_size": 8}')
    with pytest.raises(FolderError, match="no run of pinn_ngd wrote it"):
        RunFolder(tmp_path).check_problem("tiny")


def test_missing_files_are_named(tmp_path):
    for read, name in ((read_config, "config"), (read_result, "result"), (read_history, "history")):
        for path in (tmp_path, tmp_path / "none", tmp_path / "a\0b", tmp_path / ("n" * 5000)):
            with pytest.raises(FileNotFoundError, match=f"there is no `{name}"):
                read(path)


@pytest.mark.parametrize("damage", ["empty", "cut", "gone", "binary"])
def test_a_resumed_run_knows_its_loss_without_its_history(tmp_path, damage):
    folder = RunFolder(tmp_path / "run")
    parts = {"checkpoint": folder.checkpoint()}
    first = solve(steps=5, callbacks=[folder.writer()], **parts)
    data = folder.history_path.read_bytes()
    changed = {"empty": b"", "cut": data[:-20], "binary": b"\xff" + data[1:]}
    if damage == "gone":
        folder.history_path.unlink()
    else:
        folder.history_path.write_bytes(changed[damage])
    again = solve(steps=5, callbacks=[folder.writer()], resume=True, **parts)
    assert again.history == []
    assert again.loss == first.loss
    on = solve(steps=7, callbacks=[folder.writer()], resume=True, **parts)
    assert on.loss == solve(steps=7).loss
    assert [line["step"] for line in read_history(folder.path)][-2:] == [6, 7]
