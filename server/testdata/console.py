"""Sits at a console over a WebSocket, with a library that is not ours.

    TOKEN=... python3 console.py ADDRESS TEXT

It types TEXT once it may, and writes a line for each message: "bytes" and their digits, or the text. The last one is the
code with which the connection was closed.
"""

import asyncio
import json
import os
import sys

import websockets


async def visit(address, text):
    headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
    async with websockets.connect(address, extra_headers=headers) as console:
        typed = False
        try:
            while True:
                message = await console.recv()
                if isinstance(message, bytes):
                    print("bytes", message.hex(), flush=True)
                    continue
                print(message, flush=True)
                news = json.loads(message)
                if news["type"] == "status" and news["state"] == "connected" and not typed:
                    typed = True
                    await console.send(text.encode())
                    await console.send(json.dumps({"do": "who"}))
        except websockets.ConnectionClosed as closed:
            print("closed", closed.rcvd.code if closed.rcvd else "without a word", flush=True)


asyncio.run(visit(*sys.argv[1:]))
