#!/usr/bin/python3
"""A thousand mail domains in one process: their name server and their hosts.

world.py COUNT

Domain dN.example has the MX mN.example, which has an address of its own. One
domain in ten is bad, in turn dead (nobody listens), slow (accepts, and never
says a word) or refusing (421). Prints the ports of DNS and SMTP, and runs
until it is killed.
"""
import asyncio
import os
import resource
import socket
import struct
import sys

BAD = ("dead", "slow", "refusing")


def kind(n):
    """What the host of domain n is like."""
    return BAD[n // 10 % 3] if n % 10 == 9 else "good"


def address(n):
    pid = os.getpid()
    return f"127.{201 + pid % 50}.{n // 250}.{n % 250 + 1}"


class Names(asyncio.DatagramProtocol):
    """MX and A of what stands above; everything else has no data."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].lower())
            at += 1 + data[at]
        asked = struct.unpack(">H", data[at + 1:at + 3])[0]
        host = labels[0] if len(labels) == 2 else b""
        rdata = b""
        if host[:1] == b"d" and asked == 15:
            name = b"m" + host[1:]
            rdata = b"\0\x0a" + bytes([len(name)]) + name + b"\7example\0"
        elif host[:1] == b"m" and asked == 1:
            rdata = socket.inet_aton(address(int(host[1:])))
        answer = data[:2] + struct.pack(">HHHHH", 0x8580, 1, bool(rdata), 0,
                                        0) + data[12:at + 5]
        if rdata:
            answer += b"\xc0\x0c" + struct.pack(">HHIH", asked, 1, 3600,
                                                len(rdata)) + rdata
        self.transport.sendto(answer, peer)


class Host(asyncio.Protocol):
    """Takes everything, as fast as it can."""
    replies = {b"EHLO": b"250-m\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
               b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}

    def connection_made(self, transport):
        self.transport, self.rest, self.content = transport, b"", False
        transport.write(b"220 m ESMTP\r\n")

    def data_received(self, data):
        data = self.rest + data
        out = []
        while data:
            if self.content:
                head, dot, data = data.partition(b"\r\n.\r\n")
                if not dot:
                    self.rest = head[-4:]
                    break
                self.content = False
                out.append(b"250 taken\r\n")
                continue
            line, end, data = data.partition(b"\r\n")
            if not end:
                self.rest = line
                break
            verb = line[:4].upper()
            self.content = verb == b"DATA"
            if self.content:
                data = b"\r\n" + data
            out.append(self.replies.get(verb, b"250 ok\r\n"))
        else:
            self.rest = b""
        self.transport.write(b"".join(out))


class Refusing(asyncio.Protocol):
    def connection_made(self, transport):
        transport.write(b"421 m not now\r\n")
        transport.close()


HOSTS = {"good": Host, "slow": asyncio.Protocol, "refusing": Refusing}


def listener(n, port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address(n), port))
    return s


async def main(count):
    loop = asyncio.get_running_loop()
    names, _ = await loop.create_datagram_endpoint(
        Names, local_addr=("127.0.0.1", 0))
    port = 0
    for n in range(count):
        if kind(n) == "dead":
            continue
        s = listener(n, port)
        port = s.getsockname()[1]
        await loop.create_server(HOSTS[kind(n)], sock=s, backlog=100)
    print(names.get_extra_info("sockname")[1], port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main(int(sys.argv[1])))
