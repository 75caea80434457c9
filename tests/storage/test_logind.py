"""Whether systemd's logind removes a user's files at the last logout: read from its settings, and named in errors about missing tables."""

import os

import pytest

import colonnade as cn
from colonnade.storage import logind


@pytest.fixture
def machine(tmp_path):
    """The files of a machine on which logind runs."""
    for folder in (
        "run/systemd/users",
        "etc/systemd/logind.conf.d",
        "usr/lib/systemd/logind.conf.d",
        "var/lib/systemd/linger",
    ):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


SETTINGS = {
    "nothing is set": ({}, True),
    "only comments": ({"etc/systemd/logind.conf": "[Login]\n#RemoveIPC=no\n"}, True),
    "no": ({"etc/systemd/logind.conf": "[Login]\nRemoveIPC=no\n"}, False),
    "yes": ({"etc/systemd/logind.conf": "[Login]\nRemoveIPC = yes\n"}, True),
    "off, of the distribution": ({"usr/lib/systemd/logind.conf": "[Login]\nRemoveIPC=off\n"}, False),
    "the administrator's file hides the distribution's": ({"usr/lib/systemd/logind.conf": "[Login]\nRemoveIPC=no\n", "etc/systemd/logind.conf": "[Login]\n"}, True),
    "what is dropped in holds": ({"etc/systemd/logind.conf": "[Login]\nRemoveIPC=yes\n", "usr/lib/systemd/logind.conf.d/10.conf": "[Login]\nRemoveIPC=no\n"}, False),
    "the last one holds": ({"etc/systemd/logind.conf.d/20.conf": "[Login]\nRemoveIPC=yes\n", "usr/lib/systemd/logind.conf.d/10.conf": "[Login]\nRemoveIPC=no\n"}, True),
    "of one name the administrator's holds": ({"etc/systemd/logind.conf.d/10.conf": "[Login]\n", "usr/lib/systemd/logind.conf.d/10.conf": "[Login]\nRemoveIPC=no\n"}, True),
    "no text": ({"etc/systemd/logind.conf": "\udcff"}, True),
}  # fmt: skip


@pytest.mark.parametrize("what", SETTINGS)
def test_settings(what, machine):
    files, removes = SETTINGS[what]
    for name, text in files.items():
        (machine / name).write_text(text, errors="surrogateescape")
    assert logind.removes_at_logout(65_534, machine) is removes


def test_users_whose_files_stay(machine):
    assert not logind.removes_at_logout(0, machine)
    assert not logind.removes_at_logout(999, machine)
    (machine / "var/lib/systemd/linger/nobody").touch()
    assert not logind.removes_at_logout(65_534, machine)
    (machine / "run/systemd/users").rmdir()
    assert not logind.removes_at_logout(12_345, machine), "logind does not run"


def test_the_error_says_it_where_a_store_in_shared_memory_is_empty(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(logind, "removes_at_logout", lambda user: user == os.geteuid())
    with pytest.raises(cn.NotFoundError, match=r"the store is empty. systemd removes .* RemoveIPC=no"):
        cn.Store(folder / "s").get("t")
    with pytest.raises(cn.NotFoundError, match=r"the store is empty$"):
        cn.Store(tmp_path / "s").get("t")
