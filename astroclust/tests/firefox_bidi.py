# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Firefox, as Playwright starts it, with one command added that some releases do not know.

Playwright drives an ordinary Firefox (``channel="moz-firefox"``) by WebDriver BiDi. For every page
it sets the color scheme, and gives up if Firefox does not know that command, as 153
does not. This program starts Firefox, passes all messages on, and answers that one.
"""

import asyncio
import json
import re
import stat
import sys

from aiohttp import ClientSession, web

_UNKNOWN = "emulation.setMediaFeaturesOverride"
_TOLD = re.compile(r"WebDriver BiDi listening on (ws://\S+)")


def write_launcher(folder, program):
    """An executable that Playwright takes for Firefox."""
    path = folder / "firefox"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "{program}" "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


async def _main(command):
    firefox = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    while not (found := _TOLD.search(line := (await firefox.stderr.readline()).decode())):
        if not line:
            sys.exit(await firefox.wait())
        _say(line)
    application = web.Application()
    application["address"] = found[1]
    application.router.add_get("/{path:.*}", _serve)
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    _say(f"WebDriver BiDi listening on ws://127.0.0.1:{port}\n")
    while await firefox.stderr.readline():  # a full pipe would stop it
        pass
    await firefox.wait()
    await runner.cleanup()


def _say(line):
    sys.stderr.write(line)
    sys.stderr.flush()


async def _serve(request):
    socket = web.WebSocketResponse(max_msg_size=0)
    await socket.prepare(request)
    address = request.app["address"] + request.path
    ours = set()
    async with ClientSession() as session, session.ws_connect(address, max_msg_size=0) as firefox:
        answers = asyncio.create_task(_answer(firefox, socket, ours))
        async for message in socket:
            told = json.loads(message.data)
            if told["method"] == _UNKNOWN:
                ours.add(told["id"])
            await firefox.send_str(message.data)
        await firefox.close()
        await answers
    return socket


async def _answer(firefox, socket, ours):
    async for message in firefox:
        told = json.loads(message.data)
        if told.get("id") in ours and told.get("error") == "unknown command":
            await socket.send_json({"type": "success", "id": told["id"], "result": {}})
        else:
            await socket.send_str(message.data)
    await socket.close()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
