#!/usr/bin/python3
"""One source that misbehaves, until it is killed.

misbehave KIND ADDRESS PORT SOURCE

slow: a hundred sessions that send a byte now and then, in commands and in
content. many: five hundred connections. errors: twenty sessions full of
nonsense. all: everything. For each that ends there is a new one, after half a
second.
"""
import asyncio
import os
import sys

JUNK = b"FOO bar\r\nMAIL FROM:<\r\nRCPT TO:<x@elsewhere.example>\r\n" * 50
MAIL = b"EHLO bad.example\r\nMAIL FROM:<a@b.example>\r\n" \
       b"RCPT TO:<x@example.net>\r\nDATA\r\n"


async def opened(where):
    address, port, source = where
    return await asyncio.open_connection(address, port,
                                         local_addr=(source, 0))


async def slow(where):
    reader, writer = await opened(where)
    for byte in MAIL + b"x" * 100000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.1)
        if reader.at_eof():
            return


async def many(where):
    reader, _ = await opened(where)
    while await reader.read(4096):
        pass


async def errors(where):
    reader, writer = await opened(where)
    await reader.readline()
    while not reader.at_eof():
        writer.write(JUNK)
        await writer.drain()
        await reader.read(65536)


async def again(fn, where):
    while True:
        try:
            await fn(where)
        except OSError:
            pass
        await asyncio.sleep(0.5)


async def main(kind, address, port, source):
    where = address, int(port), source
    counts = {"slow": (slow, 100), "many": (many, 500), "errors": (errors, 20)}
    chosen = counts.values() if kind == "all" else [counts[kind]]
    await asyncio.gather(*(again(fn, where) for fn, n in chosen
                           for _ in range(n)))


if __name__ == "__main__":
    # It stands for another machine: what it computes is not our load.
    os.nice(19)
    asyncio.run(main(*sys.argv[1:]))
