"""Files of runs."""

import hashlib
import os
from pathlib import Path

import mlflow
import pytest


def paths(files):
    return [(f.path, f.is_dir, f.file_size) for f in files]


def test_files_are_stored_listed_and_read(client, run, tmp_path):
    run_id = run.info.run_id
    client.log_text(run_id, "hello", "notes/hello.txt")
    client.log_dict(run_id, {"a": [1, 2]}, "config.json")
    folder = tmp_path / "folder"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "x.bin").write_bytes(b"\0\1\2")
    (folder / "with space ü.txt").write_text("umlaut")
    client.log_artifacts(run_id, str(folder), "tree")
    assert paths(client.list_artifacts(run_id)) == [
        ("config.json", False, client.list_artifacts(run_id)[0].file_size),
        ("notes", True, None),
        ("tree", True, None),
    ]
    assert paths(client.list_artifacts(run_id, "notes")) == [
        ("notes/hello.txt", False, 5)
    ]
    assert paths(client.list_artifacts(run_id, "tree")) == [
        ("tree/deep", True, None),
        ("tree/with space ü.txt", False, 6),
    ]
    assert client.list_artifacts(run_id, "notes/hello.txt") == []
    assert client.list_artifacts(run_id, "nowhere") == []
    local = Path(client.download_artifacts(run_id, "tree", str(tmp_path)))
    assert (local / "deep" / "er" / "x.bin").read_bytes() == b"\0\1\2"
    assert (local / "with space ü.txt").read_text() == "umlaut"
    whole = Path(
        mlflow.artifacts.download_artifacts(
            run_id=run_id, artifact_path="", dst_path=str(tmp_path / "all")
        )
    )
    assert (whole / "notes" / "hello.txt").read_text() == "hello"
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/notes/hello.txt") == "hello"
    assert mlflow.artifacts.load_dict(f"runs:/{run_id}/config.json") == {"a": [1, 2]}


def test_a_file_is_replaced(client, run):
    run_id = run.info.run_id
    client.log_text(run_id, "one", "f.txt")
    client.log_text(run_id, "two, longer", "f.txt")
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/f.txt") == "two, longer"
    assert paths(client.list_artifacts(run_id)) == [("f.txt", False, 11)]


def test_a_large_file_and_an_empty_one_survive(client, run, tmp_path):
    run_id = run.info.run_id
    large = os.urandom(1 << 20) * 24
    (tmp_path / "large.bin").write_bytes(large)
    (tmp_path / "empty").write_bytes(b"")
    client.log_artifact(run_id, str(tmp_path / "large.bin"))
    client.log_artifact(run_id, str(tmp_path / "empty"))
    back = Path(client.download_artifacts(run_id, "large.bin", str(tmp_path / "../")))
    assert hashlib.sha256(back.read_bytes()).digest() == hashlib.sha256(large).digest()
    # MLflow says nothing of the size of an empty file.
    sizes = {f.path: f.file_size or 0 for f in client.list_artifacts(run_id)}
    assert sizes == {"large.bin": len(large), "empty": 0}


def test_what_is_not_there_is_not_found(client, run, tmp_path):
    with pytest.raises((mlflow.exceptions.MlflowException, OSError)):
        client.download_artifacts(run.info.run_id, "nowhere.txt", str(tmp_path))


def test_files_are_deleted(client, run):
    from mlflow.store.artifact.artifact_repository_registry import (
        get_artifact_repository,
    )

    run_id = run.info.run_id
    client.log_text(run_id, "x", "folder/a.txt")
    client.log_text(run_id, "y", "b.txt")
    repository = get_artifact_repository(run.info.artifact_uri)
    repository.delete_artifacts("folder")
    assert [f.path for f in client.list_artifacts(run_id)] == ["b.txt"]
