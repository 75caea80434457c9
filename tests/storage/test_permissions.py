"""Who has access: other users, planted files and links, groups, names that lead elsewhere."""

import os
import pickle
import shutil
import stat

import pandas as pd
import pytest

import colonnade as cn
from support.users import OTHER, as_user

pytestmark = [pytest.mark.privileged("users"), pytest.mark.slow]

GROUP = 12345
FRAME = pd.DataFrame({"x": [1, 2, 3]})


@pytest.fixture
def open_folder(folder):
    folder.chmod(0o755)
    return folder


def test_a_store_is_its_owners_alone(open_folder):
    store = cn.Store(open_folder / "s")
    path = store.put("f/t", FRAME).path
    os.environ["COLONNADE_STORE"] = str(store.path)
    try:
        result = as_user(f"""[
            attempt(lambda: cn.Store({str(store.path)!r}).ls()), attempt(lambda: cn.Store({str(store.path)!r}).get("f/t")),
            attempt(lambda: cn.Store({str(store.path)!r}).put("u", frame)), attempt(lambda: open({str(path)!r}, "rb")),
            attempt(lambda: os.listdir({str(store.path)!r})), attempt(lambda: cn.get("f/t")), attempt(lambda: cn.put("u", frame))]""")
    finally:
        del os.environ["COLONNADE_STORE"]
    errors = [text.partition(":")[0] for text in result]
    assert errors == ["StoreAccessError"] * 3 + ["PermissionError"] * 2 + ["StoreAccessError"] * 2
    assert store.check() == []


def test_segments_are_recycled_without_privileges(open_folder):
    """Every user can take leases on its own files."""
    open_folder.chmod(0o777)
    result = as_user(f"""(lambda store, big: [
        (store.put("t", big).close(), (store.path / "t.arrow").stat().st_ino)[1] for _ in range(4)
    ])(cn.Store({str(open_folder / "s")!r}), pd.DataFrame({{"x": range(400_000)}}))""")
    assert len(set(result)) == 2


def test_the_default_store_of_another_user(monkeypatch):
    """Another user has made the directory or a link before: it is refused, and nothing is written there."""
    root = cn.Store().path
    if root.exists():
        pytest.skip("the default store is in use")
    elsewhere = root.with_name("colonnade-test-elsewhere")
    try:
        root.mkdir()
        os.chown(root, OTHER, OTHER)
        for ask in (lambda: cn.put("t", FRAME), lambda: cn.get("t"), cn.ls, cn.gc):
            with pytest.raises(cn.StoreAccessError, match=f"belongs to user {OTHER}; set COLONNADE_STORE"):
                ask()
        root.rmdir()
        elsewhere.mkdir()
        root.symlink_to(elsewhere)
        for ask in (lambda: cn.put("t", FRAME), lambda: cn.get("t"), cn.ls):
            with pytest.raises(cn.StoreAccessError, match="is a link"):
                ask()
        assert list(elsewhere.iterdir()) == []
    finally:
        root.unlink() if root.is_symlink() else root.rmdir()
        elsewhere.exists() and elsewhere.rmdir()


def test_a_foreign_snapshot_is_refused_unless_its_owner_is_trusted(open_folder):
    store = cn.Store(open_folder / "s")
    path = store.put("t", FRAME, keep=2).path
    store.put("t", FRAME, keep=2)
    os.chown(path, OTHER, OTHER)
    refused = rf"'t' belongs to user {OTHER}, who could change it.*trust={OTHER}"
    for ask in (store.get, store.open, lambda name: store.put(name, FRAME), store.exists):
        with pytest.raises(cn.StoreAccessError, match=refused):
            ask("t")
    with pytest.warns(UserWarning, match="left out"):
        assert store.ls() == []
    assert [problem.what for problem in store.check()][:1] == [f"owned by user {OTHER}"]
    trusting = cn.Store(store.path, trust=OTHER)
    pd.testing.assert_frame_equal(trusting.get("t"), FRAME)
    assert trusting.check() == []
    assert cn.Store(store.path, trust=[1, OTHER]).put("t", FRAME).version == 3
    assert store.get("t").shape == (3, 1)


def test_a_reference_to_a_trusted_snapshot_is_trusted(open_folder):
    store = cn.Store(open_folder / "s")
    path = store.put("t", FRAME).path
    os.chown(path, OTHER, OTHER)
    snapshot = cn.Store(store.path, trust=OTHER).open("t")
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(snapshot)).to_pandas(), FRAME)


def test_a_reference_passed_to_another_user(open_folder):
    data = pickle.dumps(cn.Store(open_folder / "s").put("t", FRAME))
    answer = as_user(f"attempt(lambda: pickle.loads({data!r}).to_pandas())")
    assert answer.startswith("StoreAccessError: 't' cannot be read from")
    assert answer.endswith(
        f"runs as user {OTHER}; the table belongs to user {os.geteuid()} (mode= of a store lets a group read it)"
    )


def test_planted_files_in_a_shared_directory(open_folder):
    """A store in a directory like /tmp: every user may write to it, and it has the sticky bit."""
    shared = open_folder / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    planted = as_user(f"""[
        cn.Store({str(shared)!r}).put("planted", frame).version,
        os.symlink("/etc/passwd", {str(shared / "link.arrow")!r}), os.symlink("/tmp", {str(shared / "out")!r}),
        os.symlink({str(shared / "planted.arrow")!r}, {str(shared / "to-planted.arrow")!r}),
        open({str(shared / ".settings")!r}, "w").write("{{}}")]""")
    assert planted[0] == 1
    store = cn.Store(shared)
    for name in ("planted", "link", "to-planted"):
        with pytest.raises(cn.StoreAccessError):
            store.get(name)
    with pytest.raises(cn.StoreAccessError, match=f"settings belong to user {OTHER}"):
        store.put("mine", FRAME)
    (shared / ".settings").unlink()
    for ask in (lambda: store.get("out/t"), lambda: store.put("out/t", FRAME), lambda: store.delete("out/t")):
        with pytest.raises(cn.StoreAccessError, match=r"'out' leads out of the store; remove that link"):
            ask()
    assert store.put("mine", FRAME).version == 1
    with pytest.raises(cn.StoreAccessError, match=f"belongs to user {OTHER}"):
        store.put("planted", FRAME)
    store.gc()
    assert (shared / "out").is_symlink()
    assert {problem.path.name for problem in store.check()} >= {
        "planted.arrow",
        "link.arrow",
        "out",
        "to-planted.arrow",
    }


def test_creation_follows_no_link(open_folder):
    """Links in all places where a put makes files: the hidden folder, the temporary file, the settings."""
    target = open_folder / "target"
    target.mkdir()
    (target / "file").write_text("untouched")
    store = cn.Store(open_folder / "s")
    big = pd.DataFrame({"x": range(400_000)})
    store.put("t", big)
    (store.path / ".publish").symlink_to(target / "file")
    (store.path / "t2.arrow").symlink_to(target / "file")
    for name in ("t2", "fresh"):
        store.put(name, FRAME)
    shutil.rmtree(store.path / ".segments")
    (store.path / ".segments").symlink_to(target)
    for frame in (FRAME, big):
        with pytest.raises(cn.StoreAccessError, match="leads out of the store"):
            store.put("t", frame)
    (store.path / ".segments").unlink()
    store.configure(capacity="1GiB")
    (store.path / ".settings").unlink()
    (store.path / ".settings").symlink_to(target / "file")
    with pytest.raises((cn.StoreAccessError, OSError)):
        store.put("t", big)
    (store.path / ".settings").unlink()
    assert (target / "file").read_text() == "untouched"
    assert sorted(os.listdir(target)) == ["file"]
    assert store.put("t", big).version >= 2
    assert (store.path / ".publish").is_symlink(), "it is nobody's to remove"
    (store.path / ".publish").unlink()
    assert store.check() == []


def test_a_group_may_read_and_nothing_more(open_folder):
    umask = os.umask(0o077)
    try:
        store = cn.Store(open_folder / "s", mode=0o640)
        store.put("f/t", FRAME)
    finally:
        os.umask(umask)
    store.put("f/big", pd.DataFrame({"x": range(400_000)}))
    store.put("f/big", pd.DataFrame({"x": range(400_000)}))  # of a spare
    store.put("f/big", pd.DataFrame({"x": range(400_000)}))
    for path in (store.path, store.path / "f", store.path / "f/t.arrow", store.path / "f/big.arrow"):
        os.chown(path, -1, GROUP)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (store.path, store.path / "f", store.path / "f/big.arrow")]
    assert modes == [0o750, 0o1750, 0o640]  # sticky: the store made it
    assert stat.S_IMODE((store.path / ".segments").stat().st_mode) == 0o700
    ask = f"""[attempt(lambda: cn.Store({str(store.path)!r}, trust=0).get("f/t")["x"].sum()),
        attempt(lambda: cn.Store({str(store.path)!r}).get("f/t")),
        attempt(lambda: len(cn.Store({str(store.path)!r}, trust=0).ls())),
        attempt(lambda: cn.Store({str(store.path)!r}, trust=0).put("f/u", frame)),
        attempt(lambda: cn.Store({str(store.path)!r}, trust=0).delete("f/t")),
        attempt(lambda: open({str(store.path / "f/t.arrow")!r}, "r+b")),
        attempt(lambda: os.listdir({str(store.path / ".segments")!r}))]"""
    mine = as_user(ask, groups=[GROUP])
    assert mine[0] == "6"
    assert mine[1].startswith("StoreAccessError: the folder 'f' of the store belongs to user 0")
    assert mine[2] == "2"
    assert [text.partition(":")[0] for text in mine[3:]] == [
        "StoreAccessError",
        "StoreAccessError",
        "PermissionError",
        "PermissionError",
    ]
    strangers = as_user(ask)
    assert [text.partition(":")[0] for text in strangers[:3]] == ["StoreAccessError"] * 3
    assert store.exists("f/t")


def test_the_mode_is_a_setting_too(open_folder):
    store = cn.Store(open_folder / "s")
    store.configure(mode=0o640)
    assert stat.S_IMODE(cn.Store(store.path).put("f/t", FRAME).path.stat().st_mode) == 0o640
    assert [stat.S_IMODE(path.stat().st_mode) for path in (store.path, store.path / "f")] == [0o750, 0o1750]


def test_a_folder_swapped_for_a_link_while_a_put_runs(store, folder, monkeypatch):
    """A folder that is open stays the same folder, so a link that replaces it later gets no files."""
    outside = folder / "outside"
    outside.mkdir()
    store.put("f/t", FRAME)
    real = os.rename

    def swap(*args, **kwargs):
        if not (store.path / "f").is_symlink():
            real(store.path / "f", folder / "moved")
            (store.path / "f").symlink_to(outside)
        return real(*args, **kwargs)

    monkeypatch.setattr(os, "rename", swap)
    store.put("f/t", FRAME)
    assert list(outside.iterdir()) == []
    assert [path.name for path in (folder / "moved").iterdir()] == ["t.arrow"]
    (store.path / "f").unlink()


# -- directories of several users ----------------------------------------------------------------------------------------


def test_a_folder_of_another_user_is_refused(open_folder):
    """The owner of a folder can replace the files in it, for example our table by an older version of it."""
    store = cn.Store(open_folder / "s")
    store.put("f/t", FRAME)
    os.chown(store.path / "f", OTHER, OTHER)
    for ask in (
        lambda: store.get("f/t"),
        lambda: store.put("f/t", FRAME),
        lambda: store.put("f/u", FRAME),
        lambda: store.delete("f/t"),
    ):
        with pytest.raises(cn.StoreAccessError, match=rf"the folder 'f' of the store belongs to user {OTHER}"):
            ask()
    assert cn.Store(store.path, trust=OTHER).get("f/t").equals(FRAME)


@pytest.mark.parametrize("what", ["the staged file", "the new name"])
def test_a_name_that_another_user_swaps(open_folder, monkeypatch, what):
    """In a directory that others may write to, they can rename our files between two of our steps. We must notice it."""
    store = cn.Store(open_folder)
    open_folder.chmod(0o777)
    store.put("old", FRAME * 2).close()
    real = os.rename

    def rename(source, target, **kwargs):
        if what == "the staged file":
            real(open_folder / "old.arrow", open_folder / source)
            real(source, target, **kwargs)
        else:
            real(source, target, **kwargs)
            real(open_folder / "old.arrow", open_folder / target)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(cn.StoreAccessError, match=r"another file was put in the place of 't\.arrow'"):
        store.put("t", FRAME)


def test_the_folder_of_segments_of_another_user(open_folder):
    """In a directory that all may write to, the first user owns the folder of segments. The others have no spares and cannot share."""
    open_folder.chmod(0o1777)
    (open_folder / ".segments").mkdir(mode=0o700)
    os.chown(open_folder / ".segments", OTHER, OTHER)
    os.chown(open_folder, OTHER + 1, OTHER + 1)
    store = cn.Store(open_folder)
    big = pd.DataFrame({"x": range(400_000)})
    for version in (1, 2):
        assert store.put("t", big).version == version
    with pytest.raises(cn.StoreAccessError, match=f"'.segments' of the store belongs to user {OTHER}"):
        store.share(FRAME)
    store.delete("t")


def test_the_directory_that_a_put_makes_is_not_swapped_for_a_link(open_folder, monkeypatch):
    """The mode is set on the directory that was made, not on the target of a link that replaced it."""
    target = open_folder / "target"
    target.mkdir(mode=0o755)
    real = os.mkdir

    def mkdir(path, *args, **kwargs):
        real(path, *args, **kwargs)
        if str(path).endswith("/s"):
            os.rmdir(path)
            os.symlink(target, path)

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(cn.StoreAccessError):
        cn.Store(open_folder / "s").put("t", FRAME)
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


# -- groups --------------------------------------------------------------------------------------------------------------


def test_a_directory_that_hands_its_group_on(open_folder):
    """Every folder inherits the set-group-id bit, so a member of the group can read the tables below."""
    root = open_folder / "s"
    root.mkdir()
    os.chown(root, -1, GROUP)
    root.chmod(0o2750)
    store = cn.Store(root)
    store.configure(mode=0o640)
    store.put("a/b/t", FRAME).close()
    store.put("a/b/big", pd.DataFrame({"x": range(400_000)})).close()
    result = [(path.stat().st_gid, stat.S_IMODE(path.stat().st_mode)) for path in (root, root / "a", root / "a/b")]
    assert result == [(GROUP, 0o2750), (GROUP, 0o3750), (GROUP, 0o3750)]
    ask = f"""[attempt(lambda: cn.Store({str(root)!r}, trust=0).get("a/b/t")["x"].sum()),
        attempt(lambda: len(cn.Store({str(root)!r}, trust=0).get("a/b/big")))]"""
    assert as_user(ask, groups=[GROUP]) == ["6", "400000"]


def test_tables_of_folders_that_were_there_before_the_group(open_folder):
    store = cn.Store(open_folder / "s")
    store.put("a/b/t", FRAME).close()
    store.configure(mode=0o640)
    store.put("a/b/u", FRAME).close()
    for path in (store.path, store.path / "a", store.path / "a/b", store.path / "a/b/u.arrow"):
        os.chown(path, -1, GROUP)
    ask = f"""[attempt(lambda: cn.Store({str(store.path)!r}, trust=0).get("a/b/u")["x"].sum())]"""
    assert as_user(ask, groups=[GROUP]) == ["6"]


# -- references ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "file", ["../t.arrow", "shared-../../t.arrow", "/etc/passwd", "shared-", "spare-0011", "t.arrow"]
)
def test_a_reference_does_not_lead_out_of_the_store(store, file):
    store.put("t", FRAME)
    with pytest.raises(cn.InvalidNameError, match="is not the file of a shared table"):
        store._catalog.attach_unnamed(file)


# -- whom a store trusts -------------------------------------------------------------------------------------------------


@pytest.fixture
def of_another(open_folder):
    """A store of another user, which a group may read."""
    open_folder.chmod(0o777)
    as_user(f"[cn.Store({str(open_folder / 's')!r}, mode=0o640).put('f/t', frame).version]")
    return open_folder / "s"


@pytest.mark.parametrize(
    "trust", [OTHER, str(OTHER), "nobody", "nobody,root", f" {OTHER} , 0", [OTHER], ["nobody"], {0, "nobody"}], ids=str
)
def test_trust_is_a_number_or_a_name(of_another, trust):
    with pytest.raises(cn.StoreAccessError, match=f"belongs to user {OTHER}"):
        cn.Store(of_another).get("f/t")
    assert cn.Store(of_another, trust=trust).get("f/t").equals(FRAME)


@pytest.mark.parametrize("trust", ["no such user", -1, 1 << 32, "root,,nowhere", 1.5, ["x"], True, [None]], ids=str)
def test_trust_that_is_nobody(folder, trust):
    with pytest.raises(ValueError, match="trust"):
        cn.Store(folder, trust=trust)


def test_trust_by_the_environment(of_another, monkeypatch):
    monkeypatch.setenv("COLONNADE_STORE", str(of_another))
    with pytest.raises(cn.StoreAccessError, match=f"belongs to user {OTHER}"):
        cn.get("f/t")
    monkeypatch.setenv("COLONNADE_TRUST", "nobody")
    assert cn.get("f/t").equals(FRAME)
    assert [info.name for info in cn.ls()] == ["f/t"]
    monkeypatch.setenv("COLONNADE_TRUST", "no such user")
    with pytest.raises(ValueError, match="there is no user of this name"):
        cn.get("f/t")


def test_root_writes_to_another_users_store_only_if_it_trusts_that_user(of_another, monkeypatch):
    for change in (lambda s: s.put("new", FRAME), lambda s: s.share(FRAME), lambda s: s.configure(spares=0)):
        with pytest.raises(cn.StoreAccessError, match=rf"root does not trust that user.*COLONNADE_TRUST={OTHER}"):
            change(cn.Store(of_another))
    assert not (of_another / "new.arrow").exists()
    assert not (of_another / ".settings").exists()
    trusting = cn.Store(of_another, trust=OTHER)
    trusting.put("g/new", FRAME).close()
    trusting.put("f/t", FRAME).close()
    trusting.configure(spares=0)
    assert {path.stat().st_uid for path in of_another.rglob("*")} == {OTHER}
    ask = f"""(lambda store: [attempt(lambda: store.get(name)["x"].sum()) for name in ("g/new", "f/t")]
        + [attempt(lambda: store.put(name, frame).version) for name in ("g/new", "f/t")]
        + [attempt(lambda: store.settings.spares), attempt(store.check)])(cn.Store({str(of_another)!r}))"""
    assert as_user(ask) == ["6", "6", "2", "3", "0", "[]"]
    with trusting.share(FRAME) as shared:
        assert pickle.loads(pickle.dumps(shared)).to_pandas().equals(FRAME)


def test_trust_by_the_settings(open_folder):
    """The owner of a directory configures trust once. It applies to the owner only, not to users who trust the owner."""
    store = cn.Store(open_folder / "s")
    store.put("f/t", FRAME)
    os.chown(store.path / "f/t.arrow", OTHER, OTHER)
    with pytest.raises(cn.StoreAccessError):
        store.get("f/t")
    assert store.configure(trust="nobody").trust == (OTHER,)
    assert cn.Store(store.path).get("f/t").equals(FRAME)
    assert store.configure(spares=0).trust == (OTHER,)
    os.chown(store.path / ".settings", OTHER + 1, -1)
    with pytest.raises(cn.StoreAccessError, match=f"belongs to user {OTHER}"):
        cn.Store(store.path, trust=OTHER + 1).get("f/t")


def test_ls_says_what_may_not_be_read(open_folder):
    store = cn.Store(open_folder / "s", mode=0o640)
    for name in ("mine", "theirs", "f/t"):
        store.put(name, FRAME).close()
    os.chown(store.path / "theirs.arrow", OTHER, OTHER)
    with pytest.warns(UserWarning, match="1 tables or folders of .* are left out, .*: 'theirs'. check"):
        assert [info.name for info in store.ls()] == ["f/t", "mine"]
    (store.path / "f").chmod(0o700)
    for path in (store.path, store.path / "mine.arrow"):
        os.chown(path, -1, GROUP)
    ask = f"""(lambda warnings: (warnings.simplefilter("error"), [attempt(lambda: cn.Store({str(store.path)!r}, trust=0).ls())])[1])(
        __import__("warnings"))"""
    assert "1 tables or folders" in (answer := as_user(ask, groups=[GROUP])[0])
    assert "'f/'" in answer


def test_a_process_that_becomes_another_user_reads_its_own_tables(folder):
    folder.chmod(0o777)
    program = "[store.put('t', frame).version, len(store.get('t')), store.append('g', frame), len(store.ls())]"
    assert as_user(program, before=f"store = cn.Store({str(folder / 'store')!r})") == [1, 3, 3, 2]
