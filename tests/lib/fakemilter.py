"""A filter (milter) on the wire, that can misbehave on order.

Filter({"rcpt": REJECT}) answers RCPT so; a list is used up one answer at a
time, then the default is back; a function is called with the event and
returns an answer. Moments: accept, negotiate, connect, helo, mail, rcpt,
data, unknown, header, eoh, body, eom, abort, quit.

It keeps all it was told with the macros, and judges it by the rules of
libmilter's state machine, which goes silent where they are broken: what is in
`violations` would hang a real filter.
"""
import os
import re
import shutil
import socket
import struct
import tempfile
import threading

from hesitation import hesitate

MOMENTS = {"C": "connect", "H": "helo", "M": "mail", "R": "rcpt", "T": "data",
           "U": "unknown", "L": "header", "N": "eoh", "B": "body", "E": "eom",
           "A": "abort", "Q": "quit", "O": "negotiate"}
CODES = {v: k for k, v in MOMENTS.items()}

# What may be asked for at end of message (SMFIF_).
ADDHDRS, CHGBODY, ADDRCPT, DELRCPT, CHGHDRS, QUARANTINES, CHGFROM, \
    ADDRCPT_PAR, SETSYMLIST = (1 << n for n in range(9))
ALL_ACTIONS = 0x1ff
# Steps (SMFIP_): not sent, not answered, more than usual.
NO = {"connect": 0x1, "helo": 0x2, "mail": 0x4, "rcpt": 0x8, "body": 0x10,
      "header": 0x20, "eoh": 0x40, "unknown": 0x100, "data": 0x200}
NR = {"header": 0x80, "connect": 0x1000, "helo": 0x2000, "mail": 0x4000,
      "rcpt": 0x8000, "data": 0x10000, "unknown": 0x20000, "eoh": 0x40000,
      "body": 0x80000}
CAN_SKIP, RCPT_REJ, LEADSPC = 0x400, 0x800, 0x100000
ALL_NR = sum(NR.values())
STAGES = {"connect": 0, "helo": 1, "mail": 2, "rcpt": 3, "data": 4, "eom": 5,
          "eoh": 6}

# libmilter's ni_* table: from a command to those it may be followed by.
NEXT = {"": "O", "O": "CU", "C": "HMU", "H": "HMU", "M": "RAU",
        "R": "RTLNBEAU", "T": "LNA", "L": "LNA", "N": "BEA", "B": "BEA",
        "E": "MUQK", "U": "HMRTBUAQK", "A": ""}
SKIPPED = {"connect": "C", "helo": "H", "mail": "M", "rcpt": "R",
           "header": "L", "eoh": "N", "body": "B", "unknown": "U",
           "data": "T"}


def packet(code, payload=b""):
    code = code.encode() if isinstance(code, str) else code
    return struct.pack(">I", len(payload) + 1) + code + payload


def _z(*strings):
    return b"".join((s if isinstance(s, bytes) else s.encode()) + b"\0"
                    for s in strings)


# --- answers ---

class Say:
    """Sends these bytes (packets), and goes on."""

    def __init__(self, *packets):
        self.data = b"".join(packets)

    def play(self, conn):
        conn.send(self.data)
        return True

    def __add__(self, other):
        return Say(self.data, other.data)


class Cut(Say):
    """Sends the first n bytes (all), then closes."""

    def __init__(self, what=b"", n=None):
        data = what.data if isinstance(what, Say) else what
        super().__init__(data if n is None else data[:n])

    def play(self, conn):
        if self.data:
            conn.send(self.data)
        return False


class Reset(Cut):
    """Closes with an RST."""

    def play(self, conn):
        super().play(conn)
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        return False


class Silent:
    """Never answers; reads until the other side ends."""

    def play(self, conn):
        conn.filter.stalled.set()
        conn.wait_end()
        return False


class Deaf:
    """Neither answers nor reads until the test lets it end."""

    def play(self, conn):
        conn.filter.stalled.set()
        conn.filter.closed.wait()
        return False


class Trickle(Say):
    """Byte by byte, each after `pause` seconds; 0: in packets of their
    own."""

    def __init__(self, what, pause=0.0):
        super().__init__(what.data)
        self.pause = pause

    def play(self, conn):
        for i in range(len(self.data)):
            conn.send(self.data[i:i + 1])
            if self.pause:
                conn.filter.closed.wait(self.pause)
        return True


class When(Say):
    """Says it when the test has set the event."""

    def __init__(self, event, what):
        super().__init__(what.data)
        self.event = event

    def play(self, conn):
        conn.filter.stalled.set()
        self.event.wait(120)
        return super().play(conn)


class Endless(Say):
    """Again and again, until the other side has had enough."""

    def __init__(self, what, pause=0.0):
        super().__init__(what.data)
        self.pause = pause

    def play(self, conn):
        while not conn.filter.closed.wait(self.pause):
            conn.send(self.data)
        return False


NOTHING = Say()
CONTINUE = Say(packet("c"))
ACCEPT = Say(packet("a"))
REJECT = Say(packet("r"))
TEMPFAIL = Say(packet("t"))
DISCARD = Say(packet("d"))
SKIP = Say(packet("s"))
PROGRESS = Say(packet("p"))
SHUTDOWN = Say(packet("4"))
CONN_FAIL = Say(packet("f"))


def reply(text):
    return Say(packet("y", _z(text)))


def add_header(name, value):
    return Say(packet("h", _z(name, value)))


def insert_header(index, name, value):
    return Say(packet("i", struct.pack(">I", index) + _z(name, value)))


def change_header(index, name, value):
    return Say(packet("m", struct.pack(">I", index) + _z(name, value)))


def delete_header(index, name):
    return change_header(index, name, "")


def replace_body(data, chunk=65535):
    return Say(*[packet("b", data[i:i + chunk])
                 for i in range(0, len(data), chunk)] or [packet("b")])


def add_rcpt(address, args=None):
    return Say(packet("+", _z(address)) if args is None else
               packet("2", _z(address, args)))


def delete_rcpt(address):
    return Say(packet("-", _z(address)))


def change_from(address, args=None):
    return Say(packet("e", _z(address, *([args] if args else []))))


def quarantine(reason):
    return Say(packet("q", _z(reason)))


def options(version=6, actions=ALL_ACTIONS, steps=0, symbols=None):
    """The answer to the negotiation; symbols: {stage: "names"}."""
    lists = b"".join(struct.pack(">I", STAGES.get(s, s)) + _z(names)
                     for s, names in (symbols or {}).items())
    return Say(packet("O", struct.pack(">III", version, actions, steps) +
                      lists))


# --- what it was told ---

class Event:
    def __init__(self, conn, moment, payload, macros):
        self.conn, self.moment = conn, moment
        self.payload, self.macros = payload, macros

    @property
    def strings(self):
        return [s.decode("utf-8", "surrogateescape")
                for s in self.payload.split(b"\0")[:-1]]

    def __repr__(self):
        return f"<{self.conn}:{self.moment} {self.payload[:60]!r}>"


class Conn:
    def __init__(self, owner, sock, number):
        self.filter, self.sock, self.number = owner, sock, number
        self.file = sock.makefile("rb", 1 << 17)
        self.state, self.macros = "", {}
        self.done = False  # it has answered for good
        self.headers, self.body = [], []
        self.steps = owner.steps

    def send(self, data):
        if data:  # even nothing is a broken pipe when the other side is gone
            self.sock.sendall(data)

    def wait_end(self):
        try:
            while self.file.read1(65536):
                pass
        except OSError:
            pass

    def blame(self, text):
        with self.filter.changed:
            self.filter.violations.append(f"connection {self.number}: {text}")

    def legal(self, code):
        """The commands that may follow, those left out skipped over."""
        todo, seen = [self.state], set()
        while todo:
            for c in NEXT[todo.pop()]:
                name = MOMENTS.get(c)
                if c not in seen:
                    seen.add(c)
                    if name in NO and self.steps & NO[name]:
                        todo.append(c)
        return code in seen

    def judge(self, code, payload):
        if code in "QD":
            return
        if self.state not in ("", "O") and code in "AHMU":
            if code == "A" or self.legal(code) or self.state in "CHEAU" or \
                    self.done:
                return
            self.blame(f"{code} after {self.state}, in a message")
            return
        if self.done:
            self.blame(f"{code} after its final answer")
        elif not self.legal(code):
            self.blame(f"{code} after {self.state or 'nothing'}")
        name = MOMENTS.get(code)
        if name in NO and self.steps & NO[name]:
            self.blame(f"{code}, which it did not want")

    def shape(self, code, payload):
        """What makes libmilter close."""
        if len(payload) > 65535:
            self.blame(f"{code} with {len(payload)} bytes")
        if code in "CHMRLBDUO" and not payload:
            self.blame(f"an empty {code}")
        if code in "HMRLU" and not payload.endswith(b"\0"):
            self.blame(f"{code} without its NUL")
        if code == "L" and (payload.count(b"\0") != 2 or
                            payload.startswith(b"\0") or b"\r" in payload):
            self.blame(f"a malformed header {payload[:80]!r}")
        if code in "TNEAQ" and payload:
            self.blame(f"{code} with a payload")
        if code == "D" and payload[1:].count(b"\0") % 2:
            self.blame("a macro without a value")

    def read(self):
        head = self.file.read(5)
        if len(head) < 5:
            return None, b""
        size = struct.unpack(">I", head[:4])[0]
        payload = self.file.read(size - 1) if size > 1 else b""
        if len(payload) != size - 1:
            return None, b""
        return head[4:].decode("latin-1"), payload

    def run(self):
        hesitate()
        try:
            if self.act("accept", b"", {}, NOTHING):
                while self.one():
                    pass
        except OSError:
            pass
        finally:
            try:
                self.file.close()
                self.sock.close()
            except OSError:
                pass
            self.filter.gone(self)

    def one(self):
        code, payload = self.read()
        if code is None:
            return False
        self.shape(code, payload)
        if code == "D":
            texts = payload[1:].split(b"\0")[:-1]
            self.macros[chr(payload[0])] = {
                n.decode(): v.decode("utf-8", "surrogateescape")
                for n, v in zip(texts[::2], texts[1::2])}
            return True
        if code not in MOMENTS:
            self.blame(f"unknown command {code!r}")
            return False
        if self.done and self.state == "L" and code in "LN":
            # Was on its way before the answer; libmilter drops it.
            return True
        self.judge(code, payload)
        if code in "MHA":
            self.done = False
        self.state = code
        moment = MOMENTS[code]
        if code == "M":
            self.headers, self.body = [], []
        elif code == "L":
            self.headers.append(tuple(payload.split(b"\0")[:2]))
        elif code == "B":
            self.body.append(payload)
        macros = self.macros.pop(code, {})
        if code == "O":
            return self.act(moment, payload, macros, self.filter.options)
        if code in "AQ":
            return self.act(moment, payload, macros, NOTHING) and code != "Q"
        silent = moment in NR and self.steps & NR[moment]
        return self.act(moment, payload, macros,
                        NOTHING if silent else CONTINUE)

    def act(self, moment, payload, macros, default):
        event = Event(self.number, moment, payload, macros)
        event.headers, event.body = self.headers, self.body
        answer = self.filter.told(event) or default
        if callable(answer) and not hasattr(answer, "play"):
            answer = answer(event) or default
        if isinstance(answer, Say) and moment not in ("rcpt", "unknown") \
                and moment in CODES and re.search(
                    rb"\0\0\0\x01[artd]$|^....y", answer.data, re.S):
            self.done = True
        elif moment == "rcpt" and isinstance(answer, Say) and \
                answer.data == ACCEPT.data:
            self.done = True
        return answer.play(self)


class Filter:
    """Listens from its making on; see the top of the file.

    kind: "unix" or "inet". The rest is its side of the negotiation.
    """

    def __init__(self, script=None, kind="unix", version=6,
                 actions=ALL_ACTIONS, steps=0, symbols=None, listen=True):
        self.script = dict(script or {})
        self.steps = steps
        self.options = options(version, actions, steps, symbols)
        self.changed = threading.Condition()
        self.stalled = threading.Event()
        self.closed = threading.Event()
        self.events, self.violations, self.conns = [], [], []
        self.total = 0
        self.kind, self.dir, self.sock = kind, None, None
        if kind == "unix":
            self.dir = tempfile.mkdtemp(prefix="postern-filter-")
            os.chmod(self.dir, 0o755)
            self.address = f"{self.dir}/sock"
            self.spec = f"unix:{self.address}"
        else:
            from postern import free_port, own_address
            host = own_address(7)
            self.address = (host, free_port(host))
            self.spec = f"inet:{self.address[1]}@{host}"
        if listen:
            self.listen()

    def listen(self):
        """(Again) there."""
        self.closed.clear()
        self.sock = socket.socket(
            socket.AF_UNIX if self.kind == "unix" else socket.AF_INET)
        if self.kind == "unix":
            if os.path.exists(self.address):
                os.unlink(self.address)
        else:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(self.address)
        if self.kind == "unix":
            os.chmod(self.address, 0o666)
        self.sock.listen(256)
        threading.Thread(target=self._accept, args=(self.sock,),
                         daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self.changed:
                if self.sock is not listener:
                    sock.close()
                    return
                self.total += 1
                conn = Conn(self, sock, self.total)
                self.conns.append(conn)
                self.changed.notify_all()
            threading.Thread(target=conn.run, daemon=True).start()

    def told(self, event):
        """Notes the event; returns what the script has for it."""
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()
            found = self.script.get(event.moment)
            if isinstance(found, list):
                found = found.pop(0) if found else None
            return found

    def gone(self, conn):
        with self.changed:
            self.conns.remove(conn)
            self.changed.notify_all()

    # --- questions of the test ---

    def seen(self, moment=None, conn=None):
        with self.changed:
            return [e for e in self.events
                    if (moment is None or e.moment == moment) and
                    (conn is None or e.conn == conn)]

    def moments(self, conn=None):
        return [e.moment for e in self.seen(conn=conn)]

    def order(self, conn=None):
        """The commands as letters, bodies and headers once each."""
        found = ""
        for e in self.seen(conn=conn):
            c = CODES.get(e.moment, "")
            if c and not (c in "LB" and found.endswith(c)):
                found += c
        return found

    def _wait(self, condition, what):
        from postern import DEADLINE
        with self.changed:
            if not self.changed.wait_for(condition, DEADLINE):
                raise AssertionError(f"{what}: {self.events[-20:]}")

    def wait(self, moment, count=1):
        self._wait(lambda: sum(e.moment == moment for e in self.events) >=
                   count, f"no {count} {moment} came")
        return self.seen(moment)[count - 1]

    def wait_ended(self, left=0):
        """All connections are over."""
        self._wait(lambda: len(self.conns) <= left, "still connected")

    def wait_conns(self, count):
        self._wait(lambda: self.total >= count, f"no {count} connections")

    def forget(self):
        with self.changed:
            self.events.clear()

    def fair(self):
        """Raises when it was told anything that hangs a real filter."""
        with self.changed:
            if self.violations:
                raise AssertionError(f"not libmilter's way: {self.violations}"
                                     f" {[e.moment for e in self.events]}")

    # --- ends ---

    def vanish(self):
        """As a filter that died: nobody listens, all connections end."""
        self.closed.set()
        if not self.sock:
            return
        listener, self.sock = self.sock, None
        try:
            listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        listener.close()
        with self.changed:
            conns = list(self.conns)
        for c in conns:
            try:
                c.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.vanish()
        if self.dir:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, tb):
        self.close()
        if kind is None:
            self.fair()
