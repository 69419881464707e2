"""A next hop that can misbehave on order.

MX(faults={"rcpt": Reply("450 4.2.0 later")}) answers RCPT so; a list is used
up one answer at a time, then the default is back; a function is called with
the argument and returns an answer. Moments: connect, ehlo, helo, mail, rcpt,
data, dot, rset, quit, other.
"""
import re
import socket
import struct
import threading


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


class Mail:
    def __init__(self, sender, rcpts, data, connection):
        self.sender = sender
        self.rcpts = rcpts
        self.data = data
        self.connection = connection


class Conn:
    def __init__(self, mx, sock, number):
        self.mx, self.sock, self.number = mx, sock, number
        self.file = sock.makefile("rb", 65536)
        self.sender, self.rcpts = None, []

    def wait_end(self):
        try:
            while self.sock.recv(65536):
                pass
        except OSError:
            pass

    def answer(self, moment, argument, default):
        action = self.mx.action(moment, argument)
        return (action or Reply(default)).play(self)

    def body(self):
        """The content up to the dot, unstuffed; None when it ends before."""
        lines = []
        while True:
            line = self.file.readline()
            if not line.endswith(b"\n"):
                return None
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if line.startswith(b".") else line)

    def data(self, argument):
        action = self.mx.action("data", argument)
        if action or not self.rcpts:
            # 354 said by a test's own Reply goes on as the real one.
            action = action or Reply("503 5.5.1 no recipients")
            ok = action.play(self)
            if not ok or not getattr(action, "data", b"").startswith(b"354"):
                return ok
        else:
            self.sock.sendall(b"354 go on\r\n")
        content = self.body()
        if content is None:
            self.mx.note("cut", self.sender)
            return False
        mail = Mail(self.sender, self.rcpts, content, self.number)
        self.sender, self.rcpts = None, []
        action = self.mx.action("dot", content) or Reply("250 2.0.0 taken")
        if getattr(action, "data", b"2").startswith(b"2"):
            self.mx.keep(mail)
        return action.play(self)

    def command(self, line):
        verb, _, argument = line.strip().partition(b" ")
        verb = verb.lower().decode("latin-1")
        text = argument.decode("utf-8", "replace")
        self.mx.note(verb, text)
        if verb in ("ehlo", "helo"):
            return self.answer(verb, text, self.mx.ehlo
                               if verb == "ehlo" else "250 mx")
        if verb == "data":
            return self.data(text)
        if verb == "quit":
            self.answer("quit", text, "221 2.0.0 bye")
            return False
        before = (self.sender, list(self.rcpts))
        action = self.mx.action(verb, text)
        if action is None or getattr(action, "data", b"").startswith(b"2"):
            path = re.sub(r"^(?:FROM|TO):\s*<?([^>]*)>?.*$", r"\1", text,
                          flags=re.I)
            if verb == "mail":
                self.sender, self.rcpts = path, []
            elif verb == "rcpt":
                self.rcpts = before[1] + [path]
            elif verb == "rset":
                self.sender, self.rcpts = None, []
        known = verb in ("mail", "rcpt", "rset", "noop")
        return (action or Reply("250 2.0.0 ok" if known
                                else "502 5.5.1 what?")).play(self)

    def run(self):
        try:
            if self.answer("connect", "", "220 mx.sink.example ESMTP"):
                for line in self.file:
                    if not self.command(line):
                        break
        except OSError:
            pass
        finally:
            self.file.close()
            self.sock.close()
            self.mx.gone(self)


class MX:
    """Listens from its making on; see the top of the file."""

    def __init__(self, address=None, faults=None, port=0,
                 extensions=("PIPELINING", "8BITMIME", "SIZE 52428800",
                             "ENHANCEDSTATUSCODES", "SMTPUTF8")):
        from postern import own_address
        self.ehlo = "\r\n".join(
            ["250-mx.sink.example"] + [f"250-{e}" for e in extensions[:-1]] +
            [f"250 {extensions[-1]}"]) if extensions else "250 mx"
        self.faults = dict(faults or {})
        self.changed = threading.Condition()
        self.stalled = threading.Event()
        self.closed = threading.Event()
        self.kept, self.commands, self.conns = [], [], []
        self.total = 0
        address = address or own_address()
        self.sock = socket.socket(socket.AF_INET6 if ":" in address
                                  else socket.AF_INET)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((address, port))
        self.sock.listen(1024)
        self.address, self.port = self.sock.getsockname()[:2]
        self.hop = f"smtp://[{self.address}]:{self.port}" \
            if ":" in address else f"smtp://{self.address}:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.changed:
                self.total += 1
                conn = Conn(self, sock, self.total)
                self.conns.append(conn)
                self.changed.notify_all()
            threading.Thread(target=conn.run, daemon=True).start()

    def action(self, moment, argument):
        with self.changed:
            found = self.faults.get(moment)
            if isinstance(found, list):
                found = found.pop(0) if found else None
        return found(argument) if callable(found) and \
            not hasattr(found, "play") else found

    def note(self, verb, text):
        with self.changed:
            self.commands.append((verb, text))
            self.changed.notify_all()

    def keep(self, mail):
        with self.changed:
            self.kept.append(mail)
            self.changed.notify_all()

    def gone(self, conn):
        with self.changed:
            self.conns.remove(conn)
            self.changed.notify_all()

    def mails(self):
        with self.changed:
            return list(self.kept)

    def wait(self, count=1, timeout=None):
        """Waits for mails; returns all that came."""
        from postern import DEADLINE
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.kept) >= count,
                                         timeout or DEADLINE):
                raise AssertionError(
                    f"{len(self.kept)} mails came, not {count}")
            return list(self.kept)

    def wait_command(self, verb, count=1):
        from postern import DEADLINE
        with self.changed:
            if not self.changed.wait_for(
                    lambda: sum(v == verb for v, _ in self.commands) >= count,
                    DEADLINE):
                raise AssertionError(f"no {count} {verb} came")

    def close(self):
        """No more connections; those that are there end."""
        self.closed.set()
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
        with self.changed:
            conns = list(self.conns)
        for c in conns:
            try:
                c.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
