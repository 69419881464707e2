"""The MTA's side of the milter protocol, for tests of filters: one connection,
asked as an MTA asks, with the edits and the verdict of each mail."""
import socket
import struct

from postern import DEADLINE

ALL_ACTIONS, ALL_STEPS = 0x1ff, 0x1fffff
SKIPPED = {"C": 0x1, "H": 0x2, "M": 0x4, "R": 0x8, "B": 0x10, "L": 0x20,
           "N": 0x40}
SILENT = {"L": 0x80, "C": 0x1000, "H": 0x2000, "M": 0x4000, "R": 0x8000,
          "N": 0x40000, "B": 0x80000}


class Closed(Exception):
    """The filter ended the connection."""


def z(*strings):
    return b"".join(s.encode("utf-8", "surrogateescape") + b"\0"
                    for s in strings)


class MtaSide:
    def __init__(self, path, version=6, actions=ALL_ACTIONS, steps=ALL_STEPS,
                 client="192.0.2.7", helo="client.example"):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(DEADLINE)
        self.s.connect(path)
        self.send("O", struct.pack(">III", version, actions, steps))
        code, payload = self.recv()
        assert code == "O", code
        self.version, self.actions, self.steps = struct.unpack(
            ">III", payload[:12])
        family = b"6" if ":" in client else b"4"
        self.ask("C", z("client.example") + family + struct.pack(">H", 25) +
                 z(client))
        self.ask("H", z(helo))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()

    def send(self, code, payload=b""):
        self.s.sendall(struct.pack(">I", len(payload) + 1) + code.encode() +
                       payload)

    def exactly(self, n):
        data = b""
        while len(data) < n:
            try:
                more = self.s.recv(n - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                raise Closed()
            data += more
        return data

    def recv(self):
        n, = struct.unpack(">I", self.exactly(4))
        data = self.exactly(n)
        return data[:1].decode("latin1"), data[1:]

    def ask(self, code, payload=b"", macros=()):
        """An event, unless the filter does not want it; its reply must be to
        go on, when there is one."""
        if macros:
            self.send("D", code.encode() + z(*macros))
        if self.steps & SKIPPED.get(code, 0):
            return
        self.send(code, payload)
        if not self.steps & SILENT.get(code, 0):
            assert self.recv() == ("c", b""), code

    def begin(self, sender="a@b.example", rcpts=("x@example.org",), auth=None):
        self.ask("M", z(f"<{sender}>"),
                 ("i", "ID1") + (("{auth_authen}", auth) if auth else ()))
        for r in rcpts:
            self.ask("R", z(f"<{r}>"), ("{rcpt_addr}", r))

    def mail(self, data=b"Subject: x\r\n\r\nhi\r\n", **kw):
        """One mail: ([edits], verdict), each (code, payload)."""
        self.begin(**kw)
        head, _, body = data.partition(b"\r\n\r\n")
        text = head.decode("utf-8", "surrogateescape")
        for field in text.replace("\r\n\t", "\n\t").split("\r\n"):
            name, _, value = field.partition(":")
            self.ask("L", z(name, value[1:] if value[:1] == " " else value))
        self.ask("N")
        for at in range(0, len(body), 65535):
            self.ask("B", body[at:at + 65535])
        self.send("E")
        edits = []
        while True:
            code, payload = self.recv()
            if code in "acrtdy":
                return edits, (code, payload)
            edits.append((code, payload))

    def verdict(self, data=b"Subject: x\r\n\r\nhi\r\n", **kw):
        return self.mail(data, **kw)[1]

    def abort(self):
        self.send("A")
