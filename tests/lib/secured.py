"""Gateways with TLS and AUTH, and clients that speak them.

    with Secured() as gw:                   # ports mx, submission, smtps
        with gw.tls() as c:                 # STARTTLS, EHLO done
            queued_id(c.mail("s@client.example", "x@example.net", letter("t")))
        with gw.plain() as c: ...           # EHLO done, in the clear
        with gw.tls("smtps", auth="luke") as c: ...
"""
import os
import socket
import ssl
import struct
import warnings

from accounts import b64, hashed, plain, scram_secret, with_auth
from certs import Ca, Cert, openssl
from postern import (DEADLINE, MX, ROOT, Client, Gateway, equal, free_port,
                     letter, match, own_address, queued_id, wait_until)
from filtered import LIMITS

__all__ = ["b64", "hashed", "plain", "scram_secret", "with_auth", "Ca", "Cert",
           "openssl", "Secured", "TlsClient", "TlsPeer", "context", "LIMITS",
           "proxy_v1", "proxy_v2", "LOCAL", "USERS_OF_TESTS", "hello"]

# name: (password, what the table has)
USERS_OF_TESTS = {"luke": ("force", hashed("force", "yescrypt")),
                  "leia": ("alderaan", hashed("alderaan", "sha512")),
                  "han": ("falcon", hashed("falcon", "sha256")),
                  "lando": ("sabacc", hashed("sabacc", "bcrypt")),
                  "yoda": ("size matters not", scram_secret(
                      "size matters not"))}


# --- clients ---

def context(ca=None, cert=None, low=None, high=None, ciphers=None, alpn=None):
    """A client's ssl context. ca: verify against it (names too); cert: show
    it; low, high: versions, such as "TLSv1_2" (weaker ones come with what
    OpenSSL needs to do them at all)."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca:
        c.load_verify_locations(getattr(ca, "root", ca))
    else:
        c.check_hostname = False
        c.verify_mode = ssl.CERT_NONE
    if cert:
        c.load_cert_chain(cert.chain, cert.key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if low:
            c.minimum_version = getattr(ssl.TLSVersion, low)
        if high:
            c.maximum_version = getattr(ssl.TLSVersion, high)
    if low in ("TLSv1", "TLSv1_1", "SSLv3"):
        ciphers = ciphers or "ALL:@SECLEVEL=0"
    if ciphers:
        c.set_ciphers(ciphers)
    if alpn:
        c.set_alpn_protocols(alpn)
    return c


class TlsClient(Client):
    """A Client that can change to TLS. before: bytes sent first of all (a
    PROXY header); smtps: TLS from the first byte on."""

    def __init__(self, address, port, smtps=False, before=b"", ctx=None,
                 name=None, session=None, greet=True, helo=None, **kw):
        super().__init__(address, port, greet=False, **kw)
        if before:
            self.send(before)
        if smtps:
            self.secure(ctx, name, session)
        if greet:
            self.greeting = self.reply()
        if helo:
            equal(self.cmd(f"EHLO {helo}")[0], 250, "EHLO")

    def secure(self, ctx=None, name=None, session=None):
        """The handshake alone."""
        if self.buf:
            raise AssertionError(f"in the clear before TLS: {self.buf!r}")
        self.sock = (ctx or context()).wrap_socket(
            self.sock, server_hostname=name, session=session,
            suppress_ragged_eofs=False)
        return self

    def starttls(self, ctx=None, name=None, session=None, helo=None):
        self.want("STARTTLS", 220)
        self.secure(ctx, name, session)
        if helo:
            self.want(f"EHLO {helo}", 250)
        return self

    def more(self):
        try:
            found = super().more()
        except ssl.SSLEOFError:
            raise AssertionError("it ended without close_notify") from None
        # Where Python's unwrap() did not wait for their close_notify it comes
        # as it is: a record of two bytes, its type and its tag. (Any of its
        # bytes may look like the end of a line.)
        if len(found) == 24 and found[:5] == b"\x17\x03\x03\0\x13":
            return b""
        return found

    def serial(self):
        """Of the certificate that was shown."""
        pem = ssl.DER_cert_to_PEM_cert(self.sock.getpeercert(True))
        out = openssl("x509", "-noout", "-serial", stdin=pem.encode())
        return int(out.decode().strip().split("=")[1], 16)

    def words(self):
        """Of EHLO, by name."""
        lines = self.want("EHLO client.example", 250).split("\n")[1:]
        return {l.split(" ")[0]: l.split(" ")[1:] for l in lines}


class TlsPeer:
    """The TLS of a client by hand, on memory: what OpenSSL would write can be
    split, held back, or thrown away. Over a socket that is ready for it."""

    def __init__(self, sock, ctx=None, name=None):
        self.sock = sock
        self.inner, self.outer = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (ctx or context()).wrap_bio(self.inner, self.outer,
                                               server_hostname=name)

    def step(self):
        """Goes on with the handshake; (done, bytes that it wants to send)."""
        try:
            self.tls.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            done = False
        return done, self.outer.read()

    def feed(self):
        """Reads what the other side sent; False at its end."""
        data = self.sock.recv(65536)
        if data:
            self.inner.write(data)
        return bool(data)

    def handshake(self, pieces=0):
        """All of it, what is sent in pieces of so many bytes."""
        while True:
            done, out = self.step()
            n = pieces or len(out) or 1
            for i in range(0, len(out), n):
                self.sock.sendall(out[i:i + n])
            if done:
                return self
            if not self.feed():
                raise AssertionError("it ended in the handshake")

    def records(self, *pieces):
        """Each piece as a record (or more) of its own, as bytes."""
        found = []
        for p in pieces:
            self.tls.write(p)
            found.append(self.outer.read())
        return found

    def send(self, data):
        self.sock.sendall(b"".join(self.records(data)))

    def recv(self):
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLWantReadError:
                if not self.feed():
                    raise AssertionError(
                        "it ended without close_notify") from None
            except ssl.SSLZeroReturnError:
                return b""


def hello():
    """The first bytes of a client's handshake, a whole ClientHello."""
    return TlsPeer(None).step()[1]


# --- PROXY headers ---

LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"  # v2: the balancer's own check


def proxy_v1(source, port=40000, to=None, to_port=25):
    kind = "TCP6" if ":" in source else "TCP4"
    to = to or ("2001:db8::99" if ":" in source else "192.0.2.99")
    return f"PROXY {kind} {source} {to} {port} {to_port}\r\n".encode()


def proxy_v2(source, port=40000, to=None, to_port=25, tlvs=b""):
    """tlvs: as they are, behind the addresses."""
    six = ":" in source
    to = to or ("2001:db8::99" if six else "192.0.2.99")
    family = socket.AF_INET6 if six else socket.AF_INET
    body = socket.inet_pton(family, source) + socket.inet_pton(family, to) + \
        struct.pack(">HH", port, to_port) + tlvs
    return b"\r\n\r\n\0\r\nQUIT\n" + b"\x21" + (b"\x21" if six else b"\x11") \
        + struct.pack(">H", len(body)) + body


# --- the gateway ---

LISTENERS = {"mx": "$pkis", "submission": "$pkis tls-require auth accounts "
             "tag submission", "smtps": "$pkis smtps auth accounts "
             "tag submission"}
_ca = []


def shared_ca():
    if not _ca:
        _ca.append(Ca())
    return _ca[0]


class Secured(Gateway):
    """A gateway whose listeners have TLS and AUTH, and a next hop that keeps
    all mails.

    listeners: {name: words behind `listen on ADDRESS port PORT'}, each on a
    port of its own (gw.ports[name], $port_NAME in conf); $pkis there are the
    words for all pkis, `accounts' is the table of users. pkis: {name: Cert or
    list of Certs (kinds of key side by side)}. users: {name: (password,
    value of the table)}. before: configuration that stands above the
    listeners. relay=False: conf has the rules. mx: words for MX.
    """

    def __init__(self, conf="", listeners=None, pkis=None, users=None,
                 before="", relay=True, mx=None, values=None, **kw):
        self.ca = shared_ca()
        self.pkis = pkis or {"mx": default_cert()}
        self.users = users or USERS_OF_TESTS
        self.mx = MX(**mx or {})
        self.ports = {}
        values = dict(values or {}, hop=self.mx.hop, **{
            "pkis": "pki { " + ", ".join(self.pkis) + " }"})
        text = LIMITS + "".join(
            f"pki {name} " + " ".join(c.words() for c in (
                certs if isinstance(certs, list) else [certs])) + "\n"
            for name, certs in self.pkis.items())
        text += 'table accounts file "$dir/accounts"\n' + before
        taken = {}
        for name, words in (listeners or LISTENERS).items():
            self.ports[name] = free_port_but(own_address(), taken)
            values[f"port_{name}"] = self.ports[name]
            text += f"listen on $own_address port $port_{name} {words}\n"
        text += 'listen on socket "$dir/control/submit.sock"\n'
        if relay:
            text += 'action out relay to "$hop"\n' \
                    'match for domain { "example.net" } action out\n' \
                    "match from auth for any action out\n"
        super().__init__(text + conf, values, listen=False, **kw)
        self.write_accounts()

    def _make_folders(self):
        super()._make_folders()
        self.accounts = f"{self.dir}/accounts"

    def write_accounts(self):
        """The file of the table accounts, from self.users."""
        with open(self.accounts, "w") as f:
            for name, (_, value) in self.users.items():
                f.write(f"{name} {value}\n")
        os.chmod(self.accounts, 0o600)
        if self.user:
            import pwd
            who = pwd.getpwnam(self.user)
            os.chown(self.accounts, who.pw_uid, who.pw_gid)

    def __exit__(self, kind, value, tb):
        super().__exit__(kind, value, tb)
        self.mx.close()

    def connect(self, listener="mx", helo=None, **kw):
        """A TlsClient to that listener; TLS at once when it is smtps."""
        return TlsClient(self.address, self.ports[listener],
                         smtps=listener.startswith("smtps"), helo=helo, **kw)

    def plain(self, listener="mx", **kw):
        """In the clear, EHLO said."""
        return self.connect(listener, helo="client.example", **kw)

    def tls(self, listener="mx", auth=None, ctx=None, name=None, session=None,
            mechanism="PLAIN", **kw):
        """Secured, EHLO said, and logged in as that user."""
        if listener.startswith("smtps"):
            c = self.connect(listener, ctx=ctx, name=name, session=session,
                             **kw)
        else:
            c = self.plain(listener, **kw).starttls(ctx, name, session)
        c.want("EHLO client.example", 250)
        if auth:
            equal(with_auth(c, mechanism, auth, self.users[auth][0])[0], 235,
                  f"{mechanism} of {auth}")
        return c

    def delivered(self, count=1):
        """Number count, where each is waited for before the next is handed
        in; of several under way ask mx.of(token)."""
        return self.mx.wait(count)[count - 1]


def free_port_but(address, taken):
    """A port that is free, and not one that was given out before."""
    while True:
        port = free_port(address)
        if port not in taken:
            taken[port] = True
            return port


_certs = {}


def default_cert(kind="ecdsa"):
    if kind not in _certs:
        _certs[kind] = shared_ca().cert("mx.test.example", kind=kind)
    return _certs[kind]
