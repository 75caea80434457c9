"""Stream the new rows of a growing table to browsers by server-sent events, and append to it meanwhile.

    python examples/live_rows.py                   # a server, a producer and a client; prints what the client received
    uvicorn live_rows:app                          # the server alone, from this folder
    curl -N http://127.0.0.1:8000/sensors/room     # each new row, as it is appended

Each connection follows the table by itself: `async for` waits for rows while the event loop does other things. The id
of an event is the number of the next row, so a browser that was disconnected goes on there (``Last-Event-ID``). Needs
FastAPI and uvicorn.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException
from fastapi.responses import StreamingResponse

import colonnade as cn

# -- the server --------------------------------------------------------------------------------------------------------

app = FastAPI()


async def events(follow: cn.Follow) -> AsyncIterator[str]:
    """Give an event for each batch of rows, until the client leaves or the table is deleted."""
    with follow:
        try:
            async for new in follow:
                rows = new.to_pandas().to_json(orient="records", date_format="iso")
                yield f"id: {follow.position}\ndata: {rows}\n\n"
        except cn.NotFoundError:
            yield "event: end\ndata: the table was deleted\n\n"


@app.get("/{name:path}")
async def stream(name: str, last_event_id: Annotated[str, Header()] = "now") -> StreamingResponse:
    """Stream a table from the row where the client was, or from now on."""
    try:
        follow = cn.follow(name, start=int(last_event_id) if last_event_id.isdecimal() else "now")
    except (cn.NotFoundError, ValueError) as error:
        raise HTTPException(404, str(error)) from error
    return StreamingResponse(events(follow), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


# -- the program -------------------------------------------------------------------------------------------------------


def serve(port: int) -> subprocess.Popen[bytes]:
    """Start the server in a process of its own."""
    command = [sys.executable, "-m", "uvicorn", "live_rows:app", "--port", str(port), "--log-level", "warning"]
    return subprocess.Popen(command, cwd=Path(__file__).parent, env=os.environ)


def receive(port: int, name: str, headers: dict[str, str], batches: int) -> tuple[list[float], str]:
    """Be a client: the temperatures of so many events, and the last event's id."""
    until = time.monotonic() + 60
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", f"/{name}", headers=headers)
            break
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
    answer = connection.getresponse()
    received, position = list[float](), ""
    while batches:
        line = answer.readline().decode().rstrip("\n")
        if line.startswith("id: "):
            position = line[4:]
        elif line.startswith("data: "):
            received += [row["celsius"] for row in json.loads(line[6:])]
            batches -= 1
    connection.close()
    return received, position


def main() -> None:
    """Append rows, receive them, leave, and go on where that was."""
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args()
    folder = tempfile.mkdtemp(dir="/dev/shm")
    os.environ["COLONNADE_STORE"] = folder
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = None
    try:
        store = cn.Store(folder)
        with store.appender("sensors/room", {"celsius": "float64"}) as room:
            room.append({"celsius": [20.0, 20.5]})
            server = serve(port)
            received, position = receive(port, "sensors/room", {"Last-Event-ID": "0"}, 1)
            sys.stdout.write(f"received {received}\n")
            room.append({"celsius": [21.0, 21.5, 22.0]})  # while nobody listens
            received, position = receive(port, "sensors/room", {"Last-Event-ID": position}, 1)
            sys.stdout.write(f"then {received}, up to row {position}\n")
    finally:
        if server is not None:
            server.terminate()
            server.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
