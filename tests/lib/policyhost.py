"""The web server of a mail domain that has an MTA-STS policy.

    host = PolicyHost(ca().cert("mta-sts.example.net"),
                      policy("enforce", "one.example"))

It listens on port 443 of an address of its own, as the standard has it, which
takes the rights of root. answer may be changed while it runs: the bytes of a
page, or Page(...) for anything else; a dict has them by host name, as certs
has certificates by the name that was asked for in the handshake.
"""
import re
import socket
import ssl
import threading
import warnings

from postern import Skip, own_address, wait_until

PATH = "/.well-known/mta-sts.txt"


def policy(mode, *mxs, max_age=604800, version="STSv1", end="\n", more=""):
    lines = [f"version: {version}", f"mode: {mode}",
             *[f"mx: {m}" for m in mxs], f"max_age: {max_age}"]
    return (end.join(lines) + end + more).encode()


class Page:
    """stall: nothing is said; half: it ends in the middle; endless: so it
    goes on, for ever."""

    def __init__(self, body, status="200 OK", kind="text/plain", headers=(),
                 length=True, stall=False, half=False, endless=b""):
        self.body, self.stall, self.half = body, stall, half
        self.endless = endless
        lines = [f"HTTP/1.1 {status}", *headers, "Connection: close"]
        if kind:
            lines.append(f"Content-Type: {kind}")
        if length:
            lines.append(f"Content-Length: {len(body)}")
        self.head = "\r\n".join(lines).encode() + b"\r\n\r\n"


class PolicyHost:
    def __init__(self, cert, answer, n=7, high=None):
        self.address = own_address(n)
        self.answer = answer
        self.certs = {}
        self.requests = []  # head of each, as it came
        self.total = 0      # connections
        self.closed = False
        self.free = threading.Event()
        self.set_cert(cert, high)
        self.open()

    def set_cert(self, cert, high=None):
        self.context = self.context_of(cert, high)
        self.context.sni_callback = self.on_name

    def on_name(self, sock, name, _):
        if name in self.certs:
            sock.context = self.context_of(self.certs[name])

    @staticmethod
    def context_of(cert, high=None):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(cert.chain, cert.key)
        if high:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                c.minimum_version = ssl.TLSVersion.TLSv1
                c.maximum_version = getattr(ssl.TLSVersion, high)
            c.set_ciphers("ALL:@SECLEVEL=0")
        return c

    def open(self):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.sock.bind((self.address, 443))
        except PermissionError:
            raise Skip("port 443 takes the rights of root") from None
        self.sock.listen(100)
        self.closed = False
        threading.Thread(target=self.accept, args=(self.sock,),
                         daemon=True).start()

    def close(self):
        """Nobody is there any more, until open()."""
        if not self.closed:
            self.closed = True
            self.sock.shutdown(socket.SHUT_RDWR)
            self.sock.close()
        self.free.set()

    def accept(self, sock):
        while True:
            try:
                conn = sock.accept()[0]
            except OSError:
                return
            self.total += 1
            threading.Thread(target=self.serve, args=(conn,),
                             daemon=True).start()

    def serve(self, conn):
        try:
            with self.context.wrap_socket(conn, server_side=True) as tls:
                self.speak(tls)
        except OSError:
            conn.close()

    def speak(self, tls):
        head = b""
        while b"\r\n\r\n" not in head:
            more = tls.recv(65536)
            if not more:
                return
            head += more
        page = self.answer
        if isinstance(page, dict):
            page = page[re.search(rb"(?m)^Host: (\S+)\r$", head)[1].decode()]
        if isinstance(page, bytes):
            page = Page(page)
        self.requests.append(head.decode())
        if page.stall:
            self.free.wait()
            return
        while page.endless:
            tls.sendall(page.endless)
        tls.sendall(page.head + (page.body[:len(page.body) // 2]
                                 if page.half else page.body))
        if not page.half:
            tls.unwrap()

    def wait(self, count):
        """For that many requests."""
        wait_until(lambda: len(self.requests) >= count, f"{count} requests")
        return self.requests[count - 1]
