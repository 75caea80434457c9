"""``colonnade ui``: what the page shows, who can open it, and a test in a real browser."""

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest

import colonnade as cn
from colonnade.display.rates import Rates
from colonnade.sizes import format_size

CHROMIUM = shutil.which("chromium")


@pytest.fixture
def store(folder):
    store = cn.Store(folder / "store")
    store.put(
        "nyc/flights", pd.DataFrame({"carrier": ["UA", "<script>alert(1)</script>"], "delay": [2.0, None]})
    ).close()
    return store


@contextlib.contextmanager
def served(store):
    """The command in a process; gives its port and the path of its first page."""
    command = [sys.executable, "-m", "colonnade", "--store", str(store.path), "ui", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline()
            result = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/[\w-]{22}/)\n", address)
            assert result, address + process.stderr.read()
            yield int(result[1]), result[2]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)


def ask(port, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers


@pytest.mark.slow
def test_what_it_shows_and_to_whom(store):
    with served(store) as (port, root), store.open("nyc/flights"):
        status, page, headers = ask(port, root)
        assert status == 200
        assert f'<a href="{root}tables/nyc/flights" title="nyc/flights">nyc/flights</a>' in page
        assert str(os.getpid()) in page  # who has it open
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "no-referrer"
        assert not re.findall(r"(?:src|href)=\"(?!/)", page), "nothing comes from elsewhere"

        status, page, _ = ask(port, f"{root}tables/nyc/flights")
        assert status == 200
        assert "<bdi>UA</bdi></td>" in page
        assert "&lt;script&gt;alert" in page
        assert "<script>alert" not in page

        part = ask(port, root, **{"x-part": "main"})[1]
        assert part.startswith("<h1>")
        for path, kind in (("page.css", "text/css"), ("page.js", "text/javascript")):
            assert ask(port, root + path)[2]["Content-Type"].startswith(kind)

        # Another table, another name, another key, another host, another verb.
        status, page, _ = ask(port, f"{root}tables/no/such")
        assert (status, "no/such" in page) == (404, True)
        assert ask(port, f"{root}tables/..%2f..%2fetc")[0] == 404
        status, page, _ = ask(port, f"{root}tables/grpc://127.0.0.1:{port}/nyc/flights")
        assert (status, "another host" in page) == (404, True)  # nobody is asked, and nothing is fetched
        for path in ("/", "/tables/nyc/flights", root[:-2] + "/", root.upper()):
            status, page, _ = ask(port, path)
            assert (status, "flights" in page) == (404, False), path
        for host in ("evil.example", "evil.example:80", f"127.0.0.1.evil.example:{port}", ""):
            status, page, _ = ask(port, root, Host=host)
            assert (status, "flights" in page) == (400, False), host
        for host in (f"localhost:{port}", f"127.0.0.1:{port}"):
            assert ask(port, root, Host=host)[0] == 200
        assert ask(port, root, "POST")[0] == 405
        # Other addresses of this machine are not listened on.
        with pytest.raises(OSError):  # noqa: PT011 -- refused
            socket.create_connection(("127.0.0.2", port), timeout=5)


@pytest.mark.slow
def test_damage_is_shown_not_raised(store):
    path = store.open("nyc/flights").path
    with served(store) as (port, root):
        os.truncate(path, 100)
        status, page, _ = ask(port, f"{root}tables/nyc/flights")
        assert status == 500
        assert "remark" in page
        assert ask(port, root)[0] == 200


def test_a_growing_table_counts_and_has_a_page(store):
    from colonnade.ui import pages

    with store.appender("ticks", {"x": "float64"}) as log:
        log.append({"x": [1.0, 2.0]})
        usage = store.usage()
        page = pages.overview(usage, {}, "/key/")
        assert '<a href="/key/tables/ticks" title="ticks">ticks</a>' in page
        assert f"<div>tables {format_size(sum(each.nbytes for each in usage.of('newest', 'live')))}, " in page
        with store.open("ticks") as snapshot:
            assert snapshot.explain()[0].nbytes < 32  # of two rows, not of a whole segment
            assert "of a growing table" in pages.table(snapshot, "/key/")


@pytest.mark.slow
def test_a_store_that_is_not_there(folder):
    with served(cn.Store(folder / "none")) as (port, root):
        assert "There are no tables yet." in ask(port, root)[1]


@pytest.mark.slow
def test_a_taken_port_says_so(store):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        command = [sys.executable, "-m", "colonnade", "--store", str(store.path), "ui", "--port", str(port)]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 1
    assert f"port {port} of 127.0.0.1 cannot be used (Address already in use)" in process.stderr


def test_without_the_extra(store):
    """Starlette is imported when the page is served, and its absence names the extra."""
    program = "import sys; sys.modules['starlette.applications'] = None; from colonnade.cli import main; main()"
    command = [sys.executable, "-c", program, "--store", str(store.path), "ui", "--port", "0"]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 1
    assert "pip install 'colonnade[ui]'" in process.stderr


def test_rates(store):
    rates = Rates()
    assert rates.add(store.usage(), 100.0) == {}
    for _ in range(3):
        store.put("nyc/flights", pd.DataFrame({"x": [1.0]})).close()
    store.put("new", pd.DataFrame({"x": [1.0]})).close()
    usage = store.usage()
    result = rates.add(usage, 102.0)
    assert (result["nyc/flights"].per_second, result["new"].per_second) == (1.5, 0.5)
    nbytes = next(segment.nbytes for segment in usage.of("newest") if segment.name == "new")
    assert result["new"].nbytes == nbytes / 2
    # A minute without puts.
    assert rates.add(usage, 140.0)["new"].per_second == pytest.approx(1 / 40)
    assert rates.add(usage, 170.0) == {}
    store.delete("new")
    store.put("nyc/flights", pd.DataFrame({"x": [1.0]})).close()
    assert list(rates.add(store.usage(), 180.0)) == ["nyc/flights"]


def test_rates_of_a_growing_table(store):
    rates = Rates()
    with store.appender("ticks", {"x": "float64"}) as log:
        log.row(x=1.0)
        rates.add(store.usage(), 100.0)
        log.append({"x": np.zeros(1000)})
        usage = rates.add(store.usage(), 102.0)["ticks"]
    assert (usage.per_second, usage.is_growing) == (500.0, True)
    assert str(usage).startswith("500 rows/s, ")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
def test_in_a_browser(store, tmp_path):
    """A real browser shows the page, and its script shows a version that is put while the page is open."""
    import uvicorn

    from colonnade.ui.server import make_app

    inner = make_app(store, "key")
    calls = []

    async def app(scope, receive, send):
        await inner(scope, receive, send)
        if scope["type"] == "http":
            calls.append(scope["path"])
            if scope["path"] == "/key/page.js":
                store.put("put/later", pd.DataFrame({"x": [1.0]})).close()

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            port = listening.getsockname()[1]
            while not server.started:
                time.sleep(0.05)
            options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
            command = [CHROMIUM, *options, "--virtual-time-budget=6000", "--dump-dom", f"http://127.0.0.1:{port}/key/"]
            process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
        finally:
            server.should_exit = True
            thread.join()
    assert "nyc/flights" in process.stdout, process.stderr[-2000:]
    assert calls.count("/key/") >= 2
    assert "put/later" in process.stdout
    assert {"/key/page.css", "/key/page.js"} <= set(calls)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
def test_a_refresh_keeps_focus_and_elements(tmp_path):
    """Keyboard users stay where they are: only what changed is replaced, and a row is known by its link."""
    from colonnade.ui import pages

    gone = "<tr><td>deleted</td><td></td></tr>"  # a row without a link, above the others

    def rows(names, age, first=""):
        lines = first + "".join(f'<tr><td><a href="/{name}">{name}</a></td><td>{age}</td></tr>' for name in names)
        return f"<h1>store</h1><div class='scroll'><table><tbody>{lines}<tr><td>spare</td><td></td></tr></tbody></table></div>"

    program = f"""
        const main = document.querySelector("main"), seen = [];
        function look(text) {{
          const fresh = main.cloneNode(); fresh.innerHTML = text; update(main, fresh);
          seen.push([document.activeElement.textContent, main.textContent,
                     main.querySelector(".scroll") === scroll].join());
        }}
        const scroll = main.querySelector(".scroll");
        main.querySelector("a[href='/c']").focus();
        look({rows("abcd", "1s")!r}); look({rows("abcd", "2s")!r}); look({rows("newabcd", "3s")!r}); look({rows("bcd", "4s")!r});
        look({rows("dcb", "5s")!r}); look({rows("ce", "6s")!r});
        look({rows("ce", "7s", gone)!r}); look({rows("ce", "8s")!r});
        document.title = seen.join(";");
    """
    page = tmp_path / "page.html"
    page.write_text(f"<main>{rows('abcd', '1s')}</main><script>{pages.SCRIPT}{program}</script>")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'user'}", "--dump-dom"]
    process = subprocess.run(
        [CHROMIUM, *options, page.as_uri()], capture_output=True, text=True, check=False, timeout=90
    )
    title = re.search("<title>(.*)</title>", process.stdout)
    assert title, process.stderr[-2000:]
    texts = [
        "".join(("store", *(f"{name}{age}" for name in names), "spare"))
        for names, age in (
            ("abcd", "1s"),
            ("abcd", "2s"),
            ("newabcd", "3s"),
            ("bcd", "4s"),
            ("dcb", "5s"),
            ("ce", "6s"),
            ("ce", "7s"),
            ("ce", "8s"),
        )
    ]
    texts[-2] = texts[-2].replace("store", "storedeleted")
    assert title[1].split(";") == [f"c,{text},true" for text in texts]
