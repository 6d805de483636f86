# SPDX-License-Identifier: Apache-2.0
"""A TCP relay between a server and who uses it. It passes bytes on, and when
told to is slow, refuses everybody, or goes silent with its connections open."""

import asyncio
import threading

PART = 65536
HELD_MOST = 16 * 1024 * 1024    # bytes of one direction; then TCP pushes back


class Held:
    """What was read and is not passed on yet: (when it came, bytes), and empty
    bytes at the end."""

    def __init__(self):
        self.parts = asyncio.Queue()
        self.size = 0
        self.has_room = asyncio.Event()
        self.has_room.set()

    def put(self, came, data):
        self.parts.put_nowait((came, data))
        self.count(len(data))

    async def get(self):
        came, data = await self.parts.get()
        self.count(-len(data))
        return came, data

    def count(self, change):
        self.size += change
        if self.size < HELD_MOST:
            self.has_room.set()
        else:
            self.has_room.clear()


class Relay:
    """Runs in a thread of its own; every method may be called from any."""

    def __init__(self, listen, to, delay):
        self.listen = listen
        self.to = to
        self.delay = delay
        self.mode = "pass"
        self.server = None
        self.tasks = set()
        self.writers = set()
        self.loop = asyncio.new_event_loop()
        self.moved = asyncio.Event()
        self.thread = threading.Thread(target=self.loop.run_forever,
                                       daemon=True)

    def start(self):
        """Listens when this returns; OSError when it cannot."""
        self.thread.start()
        try:
            self._call(self._open())
        except OSError:
            self._end_loop()
            raise

    def behave(self, mode):
        """"pass", "slow", "cut" or "hang"; in force when this returns."""
        self._call(self._behave(mode))

    def stop(self):
        if not self.thread.is_alive():
            return
        self._call(self._close())
        self._end_loop()

    def _call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def _end_loop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    async def _open(self):
        if self.server is None:
            self.server = await asyncio.start_server(
                self._accept, self.listen[0], self.listen[1], backlog=256)

    async def _close(self):
        if self.server:
            self.server.close()
            self.server = None
        for writer in list(self.writers):
            writer.transport.abort()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _behave(self, mode):
        self.mode = mode
        self.moved.set()
        self.moved = asyncio.Event()
        if mode == "cut":
            await self._close()
        else:
            await self._open()

    async def _accept(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        self.writers.add(writer)
        there = None
        try:
            back, there = await asyncio.open_connection(*self.to)
            self.writers.add(there)
            await asyncio.gather(self._carry(reader, there),
                                 self._carry(back, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for one in (writer, there):
                if one:
                    one.transport.abort()
                    self.writers.discard(one)
            self.tasks.discard(task)

    async def _carry(self, source, sink):
        """Bytes in their order, each as late as the mode says. What was read
        is not dropped, or TCP would lie."""
        held = Held()
        reading = asyncio.ensure_future(self._read(source, held))
        try:
            while True:
                came, data = await held.get()
                await self._wait(came)
                if not data:
                    if sink.can_write_eof():
                        sink.write_eof()
                    return
                sink.write(data)
                await sink.drain()
        finally:
            reading.cancel()

    async def _read(self, source, held):
        while True:
            await held.has_room.wait()
            try:
                data = await source.read(PART)
            except OSError:
                data = b""
            held.put(self.loop.time(), data)
            if not data:
                return

    async def _wait(self, came):
        while self.mode == "hang":
            await self.moved.wait()
        if self.mode == "slow":
            await asyncio.sleep(max(0, came + self.delay - self.loop.time()))
