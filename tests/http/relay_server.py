# SPDX-License-Identifier: Apache-2.0
"""The process behind relay.Relay: relay_server.py LISTEN TARGET CONTROL SEED.

Carries bytes from 127.0.0.1:LISTEN to 127.0.0.1:TARGET and back, and harms
them as the last line said that came in over the Unix socket CONTROL.
"""

import asyncio
import os
import random
import sys


class Relay:
    def __init__(self, listen, target, seed):
        self.listen = listen
        self.target = target
        self.random = random.Random(seed)
        self.words = ["pass"]
        self.changed = asyncio.Event()
        self.server = None
        self.pairs = set()

    @property
    def mode(self):
        return self.words[0]

    async def behave(self, words):
        """Take a mode; answers when it is in force."""
        lossy = self.mode in ("hole", "mute", "garbage", "corrupt",
                              "corrupt-up")
        self.words = words
        self.changed.set()
        self.changed = asyncio.Event()
        if self.mode == "cut" or lossy:
            # Bytes are missing or wrong: TCP would not go on with these.
            for pair in list(self.pairs):
                pair.abort()
        if self.mode == "cut" and self.server:
            self.server.close()
            self.server = None
        elif self.mode != "cut" and not self.server:
            self.server = await asyncio.start_server(
                self.accept, "127.0.0.1", self.listen, backlog=128)

    async def control(self, reader, writer):
        words = (await reader.readline()).decode().split()
        await self.behave(words)
        writer.write(b"ok\n")
        writer.close()

    async def accept(self, reader, writer):
        pair = Pair(self, reader, writer)
        self.pairs.add(pair)
        try:
            await pair.run()
        finally:
            self.pairs.discard(pair)
            pair.abort()


class Pair:
    """One client's connection and ours to the target."""

    def __init__(self, relay, reader, writer):
        self.relay = relay
        self.reader = reader
        self.writers = [writer]
        self.tasks = []

    def abort(self):
        for writer in self.writers:
            writer.transport.abort()
        for task in self.tasks:
            task.cancel()

    async def run(self):
        try:
            answers, requests = await asyncio.open_connection(
                "127.0.0.1", self.relay.target)
        except OSError:
            return
        self.writers.append(requests)
        self.tasks = [
            asyncio.ensure_future(self.carry(self.reader, requests, 1)),
            asyncio.ensure_future(self.carry(answers, self.writers[0], 0))]
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def carry(self, source, sink, is_request):
        """Read here, write there; what is under way arrives, even when the
        sender has gone."""
        queue = asyncio.Queue()
        writing = asyncio.ensure_future(self.deliver(queue, sink, is_request))
        self.tasks.append(writing)
        while True:
            try:
                data = await source.read(65536)
            except OSError:
                data = b""
            queue.put_nowait((asyncio.get_running_loop().time(), data))
            if not data:
                break
        await writing

    async def deliver(self, queue, sink, is_request):
        while True:
            came, data = await queue.get()
            if not data:
                if sink.can_write_eof():
                    sink.write_eof()
                return
            while self.relay.mode == "stall":
                await self.relay.changed.wait()
            for part in await self.harm(came, data, is_request):
                sink.write(part)
            await sink.drain()

    async def harm(self, came, data, is_request):
        """What becomes of these bytes."""
        words, draw = self.relay.words, self.relay.random
        mode = words[0]
        if mode == "delay":
            late = came + float(words[1]) - asyncio.get_running_loop().time()
            await asyncio.sleep(max(0, late))
        elif mode == "hole" or (mode == "mute" and not is_request):
            return []
        elif mode == ("corrupt-up" if is_request else "corrupt"):
            harmed = bytearray(data)
            harmed[draw.randrange(len(harmed))] ^= 1 << draw.randrange(8)
            return [bytes(harmed)]
        elif mode == "garbage" and not is_request:
            return [bytes(draw.randrange(256) for _ in range(40)) + b"\r\n"]
        elif mode == "truncate" and not is_request:
            self.writers[0].write(data[:len(data) // 2])
            await self.writers[0].drain()
            self.writers[0].close()
            return []
        elif mode == "trickle" and not is_request:
            for i in range(len(data)):
                self.writers[0].write(data[i:i + 1])
                await asyncio.sleep(float(words[1]))
                if self.writers[0].is_closing():
                    return []
                if self.relay.mode != "trickle":
                    return [data[i + 1:]]
            return []
        return [data]


async def main(listen, target, control, seed):
    relay = Relay(int(listen), int(target), int(seed))
    await relay.behave(["pass"])
    # Whoever sees it may connect: it gets its name when it listens.
    server = await asyncio.start_unix_server(relay.control, control + ".new")
    os.rename(control + ".new", control)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
