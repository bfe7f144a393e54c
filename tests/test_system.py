"""The cores that a process may use are those that its container grants, and files are written whole or not at all."""

import os

import pytest

from tawasul_nlp import _system
from tawasul_nlp._system import atomic_write, cores


@pytest.fixture(autouse=True)
def sixteen_cores(monkeypatch):
    monkeypatch.delenv("TAWASUL_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)))


def version_1(**quotas):
    """Return the files of a control group of version 1 and of those below it, with their microseconds in 100,000."""
    folders = {name.replace("_", "/"): quota for name, quota in quotas.items()}
    files = {f"{folder}/cpu.cfs_quota_us": f"{quota}\n" for folder, quota in folders.items()}
    return files | {f"{folder}/cpu.cfs_period_us": "100000\n" for folder in folders}


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        ("0::/", {"cpu.max": "100000 100000\n"}, 1),
        ("0::/", {"cpu.max": "250000 100000\n"}, 3),
        ("0::/", {"cpu.max": "max 100000\n"}, 16),
        ("0::/", {"cpu.max": "6400000 100000\n"}, 16),
        ("0::/pods/one", {"pods/cpu.max": "200000 100000\n", "pods/one/cpu.max": "max 100000\n"}, 2),
        ("0::/pods/one", {"pods/cpu.max": "400000 100000\n", "pods/one/cpu.max": "200000 100000\n"}, 2),
        ("0::/outside/of/it", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/", {"cpu.max": "much\n"}, 16),
        ("0::/", {"cpu.max": "100000 0\n"}, 16),
        ("0::/", {}, 16),
        ("1:cpu,cpuacct:/", version_1(cpu=150_000), 2),
        ("1:cpu,cpuacct:/", version_1(cpu=-1), 16),
        ("1:cpu,cpuacct:/outside", version_1(cpu=300_000), 3),
        ("1:cpu,cpuacct:/docker/one", version_1(cpu_docker=200_000, cpu_docker_one=-1), 2),
        ("1:cpu,cpuacct:/", {}, 16),
    ],
)
def test_a_quota_of_either_version_limits_the_cores(tmp_path, group, files, expected):
    (tmp_path / "cgroup").write_text(f"5:devices:/elsewhere\n{group}\nnot a line of it\n")
    for name, content in files.items():
        file = tmp_path / "mounted" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    assert cores(tmp_path, tmp_path / "mounted") == expected


@pytest.mark.parametrize(("given", "expected"), [("3", 3), (" 64 ", 64), ("", 16)])
def test_the_environment_decides_before_all_else(monkeypatch, tmp_path, given, expected):
    monkeypatch.setenv("TAWASUL_THREADS", given)
    assert cores(tmp_path) == expected


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5"])
def test_a_number_of_threads_that_is_none_is_refused(monkeypatch, given):
    monkeypatch.setenv("TAWASUL_THREADS", given)
    with pytest.raises(ValueError, match=f"TAWASUL_THREADS is '{given}', expected a whole number, at least 1"):
        cores()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as unfinished:
        unfinished.write_text("half")
        raise RuntimeError
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("config.json", "old")]


def test_a_file_gets_its_name_after_its_bytes_are_on_the_disk(tmp_path, monkeypatch):
    path, forced, fsync = tmp_path / "config.json", [], os.fsync

    def noted(descriptor):
        fsync(descriptor)
        forced.append((os.readlink(f"/proc/self/fd/{descriptor}"), path.exists()))

    monkeypatch.setattr(_system.os, "fsync", noted)
    with atomic_write(path) as unfinished:
        unfinished.write_text("new")
    assert forced == [(str(unfinished), False), (str(tmp_path), True)]
