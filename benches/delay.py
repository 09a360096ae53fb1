#!/usr/bin/env python3
"""Gives connections a round-trip time: each byte reaches the other side half of it after it was sent, in order.

    benches/delay.py MILLISECONDS LISTEN_PORT TARGET_PORT ADDRESS…

Listens on each address and passes on to the same address; prints `ready` and goes on until its standard input ends. It is a
program of its own, so that its work is not counted as anybody's.
"""
import asyncio
import sys

CHUNK = 1 << 16
WAITING = 64  # chunks on their way, in one direction of one connection


async def carry(reader, writer, delay):
    """Passes on what comes, `delay` seconds later; then closes."""
    on_the_way = asyncio.Queue(WAITING)
    clock = asyncio.get_running_loop().time

    async def deliver():
        while True:
            due, chunk = await on_the_way.get()
            await asyncio.sleep(max(0, due - clock()))
            if not chunk:
                break
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()

    delivery = asyncio.create_task(deliver())
    try:
        while True:
            chunk = await reader.read(CHUNK)
            await on_the_way.put((clock() + delay, chunk))
            if not chunk:
                break
        await delivery
    except OSError:
        delivery.cancel()


async def serve(delay, listen, target, addresses):
    async def connected(reader, writer, address):
        await asyncio.sleep(2 * delay)  # what the handshake of TCP would take
        try:
            there_reader, there_writer = await asyncio.open_connection(address, target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(carry(reader, there_writer, delay), carry(there_reader, writer, delay))
        writer.close()
        there_writer.close()

    for address in addresses:
        await asyncio.start_server(lambda r, w, address=address: connected(r, w, address), address, listen)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    milliseconds, listen, target, *addresses = sys.argv[1:]
    asyncio.run(serve(float(milliseconds) / 2000, int(listen), int(target), addresses))
