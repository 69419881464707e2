"""What a next hop may do instead of a proper reply, see fakemx.py."""
import socket
import ssl
import struct


class Reply:
    """Says this (CRLF is added), and goes on."""

    def __init__(self, text, end=b"\r\n"):
        self.data = text.encode() + end if isinstance(text, str) else text

    def play(self, conn):
        conn.sock.sendall(self.data)
        return True


class Raw(Reply):
    """Exactly these bytes."""

    def __init__(self, data):
        super().__init__(data)


class Stall:
    """Never answers; goes on reading nothing until the other side ends."""

    def play(self, conn):
        conn.mx.stalled.set()
        conn.wait_end()
        return False


class Drop:
    """Says `data` (nothing, half a line), then closes."""

    def __init__(self, data=b""):
        self.data = data

    def play(self, conn):
        if self.data:
            conn.sock.sendall(self.data)
        return False


class Reset(Drop):
    """Closes with an RST."""

    def play(self, conn):
        if self.data:
            conn.sock.sendall(self.data)
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        return False


class Endless:
    """Repeats these bytes until the other side has had enough."""

    def __init__(self, data):
        self.data = data * max(1, 4096 // len(data))

    def play(self, conn):
        try:
            while True:
                conn.sock.sendall(self.data)
        except OSError:
            return False


class Drip:
    """The reply byte by byte, each after `pause` seconds: a slow host."""

    def __init__(self, text, pause=0.4):
        self.bytes, self.pause = text.encode() + b"\r\n", pause

    def play(self, conn):
        for i in range(len(self.bytes)):
            conn.sock.sendall(self.bytes[i:i + 1])
            conn.mx.stalled.wait(self.pause)
        return True


class Deaf:
    """Says this and never reads again: the window closes."""

    def __init__(self, text):
        self.text = text

    def play(self, conn):
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        conn.sock.sendall(self.text.encode() + b"\r\n")
        conn.mx.closed.wait()
        return False


class Prompts:
    """334, whatever is said, until the other side has had enough."""

    def play(self, conn):
        conn.sock.sendall(b"334 \r\n")
        while conn.reader.line():
            conn.sock.sendall(b"334 \r\n")
        return False


class Garble:
    """Not a handshake but these bytes, to the client's; then the connection
    ends."""

    def __init__(self, data=b"\x16\x03\x03\x40\x01" + b"?" * 2000):
        self.data = data

    def play(self, conn):
        if conn.sock.recv(1):
            conn.sock.sendall(self.data)
        conn.linger()
        return False


class Broken:
    """The handshake as far as the first n bytes that a server sends, then
    another behaviour."""

    def __init__(self, n, then):
        self.n, self.then = n, then

    def play(self, conn):
        inner, outer = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = conn.mx.context.wrap_bio(inner, outer, server_side=True)
        while not outer.pending:
            data = conn.sock.recv(65536)
            if not data:
                return False
            inner.write(data)
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
        conn.sock.sendall(outer.read()[:self.n])
        return self.then.play(conn)
