"""A next hop that can misbehave on order.

MX(faults={"rcpt": Reply("450 4.2.0 later")}) answers RCPT so; a list is used
up one answer at a time, then the default is back; a function is called with
the argument and returns an answer. Moments: connect, ehlo, helo, lhlo,
starttls, handshake, auth, more (each line behind a 334), mail, rcpt, data,
dot (of LMTP: once for each recipient taken), chunk (before the octets of a
BDAT are read), bdat (behind them), rset, quit, other. "tls:ehlo" is the same
behind TLS alone, "clear:ehlo" before it alone.

tls=Cert: STARTTLS is offered, with that certificate (certs.py; a list: kinds
of key side by side; or an ssl.SSLContext); smtps=True: TLS from the first
byte on. auth={"luke": "force"}: AUTH PLAIN and LOGIN. lmtp=True: LHLO, and a
reply for each recipient. unix=PATH: there instead of a port.

Of each mail it keeps how it came (tls, auth, parameters, DATA or BDAT), of
each connection what was said in the clear.
"""
import base64
import os
import re
import socket
import ssl
import threading
import warnings

from behaviours import *  # noqa: F401,F403
from behaviours import Reply
from hesitation import hesitate


class Mail:
    """rcpts: those taken. params: of MAIL and of each RCPT, as said; tls:
    None or what Conn.tls is; auth: as whom; by: data or bdat."""

    def __init__(self, sender, rcpts, data, connection, params="",
                 rcpt_params=(), tls=None, auth=None, by="data"):
        self.sender = sender
        self.rcpts = rcpts
        self.data = data
        self.connection = connection
        self.params, self.rcpt_params = params, list(rcpt_params)
        self.tls, self.auth, self.by = tls, auth, by


class Tls:
    """What a handshake ended in."""

    def __init__(self, sock, sni):
        self.version, self.sni = sock.version(), sni
        self.cipher = sock.cipher()[0]
        self.resumed = sock.session_reused
        self.client = sock.getpeercert(True)  # DER, or None

    def __repr__(self):
        return f"<{self.version} {self.cipher} sni={self.sni}" \
               f"{' resumed' if self.resumed else ''}>"


class Reader:
    """Lines and octets of a socket. clear: all that came without TLS."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""
        self.clear = bytearray()

    def more(self):
        data = self.sock.recv(65536)
        if not isinstance(self.sock, ssl.SSLSocket):
            self.clear += data
        self.buffer += data
        return bool(data)

    def line(self):
        """With its LF, or what there was at the end."""
        while b"\n" not in self.buffer:
            if not self.more():
                return b""
        line, lf, self.buffer = self.buffer.partition(b"\n")
        return line + lf

    def exactly(self, n):
        """None: the end came before."""
        while len(self.buffer) < n:
            if not self.more():
                return None
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def body(self):
        """The content up to the dot, unstuffed; None when it ends before."""
        lines = []
        while True:
            line = self.line()
            if not line.endswith(b"\n"):
                return None
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if line.startswith(b".") else line)


GREETING = "220 mx.sink.example ESMTP"
PATH = re.compile(r"^(?:FROM|TO):\s*<?([^>]*)>?\s*(.*)$", re.I)


class Conn:
    def __init__(self, mx, sock, number):
        self.mx, self.sock, self.number = mx, sock, number
        self.reader = Reader(sock)
        self.tls = self.auth = None
        self.forget()

    def forget(self):
        self.sender, self.params, self.rcpts = None, "", []
        self.rcpt_params, self.chunks = [], []

    def wait_end(self):
        try:
            while self.sock.recv(65536):
                pass
        except OSError:
            pass

    def linger(self):
        """Ends our side, and hears the other's: no reset eats our bytes."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.wait_end()

    def answer(self, moment, argument, default):
        return (self.action(moment, argument) or Reply(default)).play(self)

    def action(self, moment, argument):
        return self.mx.action("tls:" + moment if self.tls else
                              "clear:" + moment, argument) or \
            self.mx.action(moment, argument)

    # --- TLS ---

    def handshake(self):
        """False: it did not come to it."""
        action = self.action("handshake", "")
        if action and not action.play(self):
            return False
        if self.reader.buffer:
            self.mx.note("early", self.reader.buffer.decode("latin-1"))
            return False
        self.sock.settimeout(120)
        try:
            self.sock = self.mx.context.wrap_socket(self.sock,
                                                    server_side=True)
        except (ssl.SSLError, OSError) as e:
            self.mx.note("unsecured", getattr(e, "reason", None) or str(e))
            return False
        self.sock.settimeout(None)
        self.reader.sock = self.sock
        with self.mx.changed:
            sni = self.mx.snis.pop(self.sock, None)
        self.tls = Tls(self.sock, sni)
        self.mx.secured(self.tls)
        return True

    def starttls(self, text):
        if not self.mx.context or self.tls:
            return self.answer("starttls", text, "502 5.5.1 not here")
        action = self.action("starttls", text) or Reply("220 2.0.0 go ahead")
        if not action.play(self):
            return False
        if not getattr(action, "data", b"220").startswith(b"220"):
            return True
        self.forget()
        self.auth = None
        return self.handshake()

    # --- AUTH ---

    def ask(self, prompt):
        """The answer to a 334, decoded; None: cancelled, or not to be had."""
        action = self.action("more", prompt)
        if action:
            if not action.play(self) or \
                    not getattr(action, "data", b"334").startswith(b"334"):
                return None
        else:
            self.sock.sendall(b"334 " + base64.b64encode(prompt.encode()) +
                              b"\r\n")
        line = self.reader.line().strip()
        return None if line == b"*" else base64.b64decode(line)

    def login(self, text):
        action = self.action("auth", text)
        if action:
            return action.play(self)
        mechanism, _, first = text.partition(" ")
        if mechanism.upper() == "PLAIN":
            blob = base64.b64decode(first) if first else self.ask("")
            who = blob.split(b"\0")[1:] if blob is not None else None
        elif mechanism.upper() == "LOGIN":
            who = [base64.b64decode(first) if first else
                   self.ask("Username:"), self.ask("Password:")]
        else:
            return Reply("504 5.5.4 no such mechanism").play(self)
        if who is None or None in who:
            return Reply("501 5.7.0 cancelled").play(self)
        user, password = (w.decode() for w in who)
        self.mx.note("credentials", f"{user}:{password}")
        if (self.mx.auth or {}).get(user) != password:
            return Reply("535 5.7.8 no").play(self)
        self.auth = user
        return Reply("235 2.7.0 welcome").play(self)

    # --- a mail ---

    def keep(self, content, rcpts, by):
        self.mx.keep(Mail(self.sender, rcpts, content, self.number,
                          self.params, self.rcpt_params, self.tls, self.auth,
                          by))

    def taken(self, content, by, action=None):
        """The end of a mail: one reply, or (LMTP) one for each recipient."""
        hesitate()
        if not self.mx.lmtp:
            action = action or self.action("dot", content) or \
                Reply("250 2.0.0 taken")
            if getattr(action, "data", b"2").startswith(b"2"):
                self.keep(content, self.rcpts, by)
            self.forget()
            return action.play(self)
        replies = [(r, self.action("dot", r) or Reply(f"250 2.1.5 <{r}> ok"))
                   for r in self.rcpts]
        good = [r for r, a in replies
                if getattr(a, "data", b"").startswith(b"2")]
        if good:
            self.keep(content, good, by)
        self.forget()
        return all(a.play(self) for _, a in replies)

    def data(self, argument):
        action = self.action("data", argument)
        if action or not self.rcpts:
            # 354 said by a test's own Reply goes on as the real one.
            action = action or Reply("503 5.5.1 no recipients")
            ok = action.play(self)
            if not ok or not getattr(action, "data", b"").startswith(b"354"):
                return ok
        else:
            self.sock.sendall(b"354 go on\r\n")
        content = self.reader.body()
        if content is None:
            self.mx.note("cut", self.sender)
            return False
        return self.taken(content, "data")

    def bdat(self, text):
        action = self.action("chunk", text)
        if action and not action.play(self):
            return False
        size, _, last = text.partition(" ")
        chunk = self.reader.exactly(int(size))
        if chunk is None:
            self.mx.note("cut", self.sender)
            return False
        action = self.action("bdat", text)
        if not self.rcpts:
            return (action or Reply("503 5.5.1 no recipients")).play(self)
        if action and not getattr(action, "data", b"2").startswith(b"2"):
            self.forget()
            return action.play(self)
        self.chunks.append(chunk)
        if last.upper() == "LAST":
            return self.taken(b"".join(self.chunks), "bdat", action)
        return (action or Reply("250 2.0.0 more")).play(self)

    def command(self, line):
        verb, _, argument = line.strip().partition(b" ")
        verb = verb.lower().decode("latin-1")
        text = argument.decode("utf-8", "replace")
        self.mx.note(verb, text)
        if verb in ("ehlo", "helo", "lhlo"):
            self.forget()
            if (verb == "lhlo") != self.mx.lmtp:
                return self.answer(verb, text, "500 5.5.1 not that one")
            return self.answer(verb, text, "250 mx" if verb == "helo"
                               else self.mx.words(self))
        own = {"starttls": self.starttls, "auth": self.login,
               "data": self.data, "bdat": self.bdat}.get(verb)
        if own:
            return own(text)
        if verb == "quit":
            self.answer("quit", text, "221 2.0.0 bye")
            return False
        action = self.action(verb, text)
        if action is None or getattr(action, "data", b"").startswith(b"2"):
            path, params = PATH.sub(r"\1", text), PATH.sub(r"\2", text)
            if verb == "mail":
                self.forget()
                self.sender, self.params = path, params
            elif verb == "rcpt":
                self.rcpts = self.rcpts + [path]
                self.rcpt_params = self.rcpt_params + [params]
            elif verb == "rset":
                self.forget()
        known = verb in ("mail", "rcpt", "rset", "noop")
        return (action or Reply("250 2.0.0 ok" if known
                                else "502 5.5.1 what?")).play(self)

    def run(self):
        hesitate()
        try:
            if (not self.mx.smtps or self.handshake()) and \
                    self.answer("connect", "", GREETING):
                while True:
                    line = self.reader.line()
                    if not line or not self.command(line):
                        break
        except (OSError, ValueError):
            pass
        finally:
            self.mx.gone(self)
            self.sock.close()


class MX:
    """Listens from its making on; see the top of the file."""

    def __init__(self, address=None, faults=None, port=0,
                 extensions=("PIPELINING", "8BITMIME", "SIZE 52428800",
                             "ENHANCEDSTATUSCODES", "SMTPUTF8"),
                 tls=None, smtps=False, auth=None, lmtp=False, unix=None,
                 client_ca=None, versions=(None, None)):
        self.extensions = tuple(extensions or ())
        self.smtps, self.auth, self.lmtp = smtps, auth, lmtp
        self.auth_words = "PLAIN LOGIN"
        self.context = None
        self.snis = {}
        if tls:
            self.set_tls(tls, client_ca, *versions)
        self.faults = dict(faults or {})
        self.changed = threading.Condition()
        self.stalled = threading.Event()
        self.closed = threading.Event()
        self.kept, self.commands, self.conns = [], [], []
        self.sessions = []  # Tls of every handshake that went well
        self.cleared = []  # what each connection heard in the clear
        self.total = 0
        scheme = "lmtp" if lmtp else "smtps" if smtps else "smtp"
        if unix:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.bind(unix)
            os.chmod(unix, 0o666)
            self.address, self.port = unix, 0
            self.hop = f"{scheme}+unix://{unix}"
        else:
            self.listen_inet(address, port, scheme)
        self.sock.listen(1024)
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()

    def listen_inet(self, address, port, scheme):
        from postern import own_address
        address = address or own_address()
        self.sock = socket.socket(socket.AF_INET6 if ":" in address
                                  else socket.AF_INET)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((address, port))
        self.address, self.port = self.sock.getsockname()[:2]
        self.hop = f"{scheme}://[{self.address}]:{self.port}" \
            if ":" in address else f"{scheme}://{self.address}:{self.port}"

    def set_tls(self, tls, client_ca=None, low=None, high=None):
        """Its certificate from now on. client_ca: a Ca whose certificates
        clients may show; low, high: versions, such as "TLSv1_2"."""
        if isinstance(tls, ssl.SSLContext):
            self.context = tls
            return
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        for cert in tls if isinstance(tls, list) else [tls]:
            c.load_cert_chain(cert.chain, cert.key)
        if client_ca:
            c.load_verify_locations(client_ca.root)
            c.verify_mode = ssl.CERT_OPTIONAL
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if low:
                c.minimum_version = getattr(ssl.TLSVersion, low)
            if high:
                c.maximum_version = getattr(ssl.TLSVersion, high)
        if high in ("TLSv1", "TLSv1_1"):
            c.set_ciphers("ALL:@SECLEVEL=0")

        def named(sock, name, _):
            with self.changed:
                self.snis[sock] = name
        c.sni_callback = named
        self.context = c

    def words(self, conn):
        """The reply to EHLO or LHLO on this connection."""
        found = list(self.extensions)
        if self.context and not conn.tls:
            found.append("STARTTLS")
        if self.auth:
            found.append(f"AUTH {self.auth_words}")
        lines = ["mx.sink.example", *found] if found else ["mx"]
        return "\r\n".join([f"250-{t}" for t in lines[:-1]] +
                           [f"250 {lines[-1]}"])

    def accept(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            if sock.family != socket.AF_UNIX:
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

    def secured(self, tls):
        with self.changed:
            self.sessions.append(tls)
            self.changed.notify_all()

    def gone(self, conn):
        with self.changed:
            self.conns.remove(conn)
            self.cleared.append(bytes(conn.reader.clear))
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

    def matching(self, is_it, count=1, what="mails of this kind"):
        """Waits for (count) mails of which is_it(mail) says yes; returns all
        such. Deliveries run side by side: which of several mails came first
        tells nothing, what it is does."""
        from postern import DEADLINE

        def found():
            return [m for m in self.kept if is_it(m)]
        with self.changed:
            if not self.changed.wait_for(lambda: len(found()) >= count,
                                         DEADLINE):
                raise AssertionError(f"{len(found())} {what} came, not {count}"
                                     f"; of {len(self.kept)}")
            return found()

    def of(self, token):
        """Waits for the mail with this X-Token in its header."""
        field = re.compile(rb"(?mi)^X-Token: *%b\r?$" %
                           re.escape(token.encode()))
        return self.matching(lambda m: field.search(
            m.data.partition(b"\r\n\r\n")[0]), 1, f"mails {token}")[0]

    def with_text(self, text, count=1):
        """Waits for (count) mails that hold these bytes; returns all such."""
        return self.matching(lambda m: text in m.data, count,
                             f"mails with {text!r}")

    def wait_command(self, verb, count=1):
        from postern import DEADLINE
        with self.changed:
            if not self.changed.wait_for(
                    lambda: sum(v == verb for v, _ in self.commands) >= count,
                    DEADLINE):
                raise AssertionError(f"no {count} {verb} came")

    def in_clear(self):
        """All that came without TLS, of connections that live too."""
        with self.changed:
            return b"".join(self.cleared) + \
                b"".join(bytes(c.reader.clear) for c in self.conns)

    def said(self, verb):
        """The arguments of this command, in their order."""
        with self.changed:
            return [t for v, t in self.commands if v == verb]

    def nothing_in_clear(self):
        """No byte of a mail, nor of its envelope or a password, came without
        TLS."""
        found = re.search(rb"(?im)^(MAIL|RCPT|DATA|BDAT|AUTH|X-Token|From:|"
                          rb"Subject|Received)\b.*$", self.in_clear())
        if found:
            raise AssertionError(f"in the clear: {found.group(0)!r}")

    def wait_for(self, condition, what):
        """Waits until condition() is so; called at each event."""
        from postern import DEADLINE
        with self.changed:
            if not self.changed.wait_for(condition, DEADLINE):
                raise AssertionError(f"{what}: {self.commands[-20:]}")

    def wait_ended(self):
        """All connections that there were are over."""
        self.wait_for(lambda: not self.conns, "still connected")

    def close(self):
        """No more connections; those that are there end."""
        self.closed.set()
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        # It must not accept what comes to the next socket of this number.
        self.acceptor.join()
        self.sock.close()
        with self.changed:
            conns = list(self.conns)
        for c in conns:
            try:
                c.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
