#!/usr/bin/python3
"""Channels that end between two processes that live on.

One of the two hears something on its channel that breaks the contract: we take
the other's end of it (pidfd_getfd) and say it there. The channel is closed, a
new one is made, nobody is started again, and no mail is lost.
"""
import os
import signal
import socket
import struct
import sys
import threading
from datetime import datetime
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403
from fakemx import Stall  # noqa: E402
import ctypes  # noqa: E402

PIDFD_OPEN, PIDFD_GETFD = 434, 438
# A frame of 0 bytes, of a type that no edge has.
NONSENSE = struct.pack("<IHHQ", 0, 60000, 0, 0)
CONF = '''
action box maildir "$dir/mail/%{rcpt.user}" user "$owner"
action out relay to "$hop"
match for domain { "box.example" } action box
match for domain { "example.net" } action out
'''
libc = ctypes.CDLL(None, use_errno=True)


# --- whose end is which ---

def peers_of_sockets():
    """{inode: inode of the other end} of all Unix sockets (sock_diag)."""
    found = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as s:
        ask = struct.pack("=BBHIII8s", socket.AF_UNIX, 0, 0, 0xffffffff, 0, 4,
                          b"\xff" * 8)
        s.sendall(struct.pack("=IHHII", 16 + len(ask), 20, 0x301, 1, 0) + ask)
        while True:
            data = s.recv(1 << 17)
            while data:
                size, kind = struct.unpack_from("=IH", data)
                if kind == 3:  # NLMSG_DONE
                    return found
                if kind == 2:
                    raise Skip("the kernel does not tell ends of sockets")
                inode, at = struct.unpack_from("=I", data, 20)[0], 32
                while at + 4 <= size:
                    n, what = struct.unpack_from("=HH", data, at)
                    if what == 2:  # UNIX_DIAG_PEER
                        found[inode] = struct.unpack_from("=I", data,
                                                          at + 4)[0]
                    at += (n + 3) & ~3
                data = data[(size + 3) & ~3:]


def sockets_of(pid):
    """{inode: descriptor}"""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            m = re.match(r"socket:\[(\d+)\]$",
                         os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            continue
        if m:
            found[int(m.group(1))] = int(fd)
    return found


def ends_of(a, b):
    """Descriptors of a whose other end b has. The first ones of a child are
    what the parent started it with: another channel."""
    pairs, theirs = peers_of_sockets(), sockets_of(b)
    return [fd for inode, fd in sockets_of(a).items()
            if fd > 4 and theirs.get(pairs.get(inode), 0) > 4]


def say_nonsense(speaker, hearer):
    """As if the process speaker said it to hearer; both are pids."""
    fds = ends_of(speaker, hearer)
    equal(len(fds), 1, f"channels of {cmdline(speaker)} {cmdline(hearer)}")
    pidfd = libc.syscall(PIDFD_OPEN, speaker, 0)
    fd = libc.syscall(PIDFD_GETFD, pidfd, fds[0], 0)
    if fd < 0:
        raise Skip("pidfd_getfd: " + os.strerror(ctypes.get_errno()))
    with socket.socket(fileno=fd) as s:
        s.sendall(NONSENSE)
    os.close(pidfd)


class Linked(Secured):
    def __init__(self, conf=CONF, **kw):
        if not ROOT:
            raise Skip("only root may speak for a process")
        super().__init__(conf, values={"owner": "mail"}, relay=False, **kw)

    def pid(self, name):
        """Of "smtpd", "vault/1", "parent"."""
        if name == "parent":
            return self.proc.pid
        role, _, instance = name.partition("/")
        for pid in self.role_pids(role):
            with open(f"/proc/{pid}/cmdline") as f:
                if f.read().split("\0")[1] == (instance or "0"):
                    return pid
        raise AssertionError(f"{name} is not there")

    def breach(self, speaker, hearer):
        """Returns when the two have a new channel."""
        since = self.mark()
        say_nonsense(self.pid(speaker), self.pid(hearer))
        self.wait_relink(speaker, hearer, since)

    def wait_relink(self, one, other, since, count=1):
        a, b = (re.escape(n if "/" in n else n + "/0") for n in (one, other))
        self.wait_log(rf" relink (a={a} b={b}|a={b} b={a})$", since=since,
                      count=count)
        wait_until(lambda: len(ends_of(self.pid(one), self.pid(other))) == 1,
                   f"a channel between {one} and {other}")


def use_all(gw, token):
    """TLS, AUTH, the queue, an agent of each kind, and the resolver."""
    with gw.tls("submission", auth="luke") as c:
        queued_id(c.mail("luke@client.example", "x@example.net",
                         letter(f"hop-{token}")))
        queued_id(c.mail("luke@client.example", f"{token}@box.example",
                         letter(f"box-{token}")))
    gw.mx.of(f"hop-{token}")
    wait_until(lambda: gw.maildir(token), f"a mail in the Maildir of {token}")
    gw.ctl("show", "status", check=0)


@test
def every_pair():
    pairs = [("smtpd", "queue"), ("smtpd", "resolver"), ("smtpd", "dialer"),
             ("smtpd", "vault/0"), ("smtpd", "vault/1"),
             ("dialer", "resolver"), ("delivery", "resolver"),
             ("delivery", "fetch"), ("fetch", "resolver"),
             ("queue", "delivery"), ("queue", "maildir"),
             ("control", "queue"), ("control", "smtpd"),
             ("control", "parent"), ("control", "vault/1"),
             ("control", "fetch")]
    with Linked() as gw:
        pids = gw.pids()
        use_all(gw, "first")
        for i, (a, b) in enumerate(pairs):
            for k, (x, y) in enumerate(((a, b), (b, a))):
                gw.breach(x, y)
                use_all(gw, f"u{i}-{k}")
        equal(gw.pids(), pids, "processes")
        equal(gw.log_has(r" (died|restart) "), [], "deaths")


@test
def again_and_again():
    """Each breach has its new channel, at most one a second."""
    with Linked() as gw:
        pids = gw.pids()
        for _ in range(3):
            gw.breach("smtpd", "vault/1")
        use_all(gw, "after")
        equal(gw.pids(), pids, "processes")
        times = [datetime.fromisoformat(l.split()[0].rstrip("Z"))
                 for l in gw.log_has(r" relink ")]
        equal(len(times), 3, "new channels")
        gaps = [(b - a).total_seconds() for a, b in zip(times, times[1:])]
        equal([g for g in gaps if g < 0.9], [], f"too soon: {gaps}")


@test
def work_under_way():
    """The agent lives, but the queue does not hear of it any more: the mail is
    tried again."""
    for who in (("delivery", "queue"), ("queue", "delivery")):
        with Linked(mx={"faults": {"rcpt": [Stall()]}}) as gw:
            with gw.tls("submission", auth="luke") as c:
                mid = queued_id(c.mail("luke@client.example", "x@example.net",
                                       letter("under-way")))
            gw.mx.stalled.wait(DEADLINE)
            gw.breach(*who)
            gw.wait_log(rf" queue delivered .*msg={mid}")
            gw.wait_empty()
            equal(len(gw.mx.wait()), 1, "copies")


@test
def questions_under_way():
    """Who waited for an answer hears at once that there is none."""
    with Linked() as gw:
        with gw.tls("smtps") as c:
            vault = gw.pid("vault/1")
            os.kill(vault, signal.SIGSTOP)
            c.send("AUTH PLAIN " + plain("luke", "force") + "\r\n")
            since = gw.mark()
            say_nonsense(vault, gw.pid("smtpd"))
            equal(c.reply()[0], 454, "AUTH without a channel")
            os.kill(vault, signal.SIGCONT)
            gw.wait_relink("smtpd", "vault/1", since)
            equal(with_auth(c, "PLAIN", "luke", "force")[0], 235,
                  "AUTH in the same session")


@test
def under_load():
    """Nothing that was taken is lost while the channels of the queue end."""
    with Linked() as gw:
        ledger = Ledger()
        enough = threading.Event()

        def send(n):
            k = 0
            while not enough.is_set():
                try:
                    with gw.plain() as c:
                        for _ in range(10):
                            k += 1
                            ledger.send(c, f"load-{n}-{k}",
                                        rcpts="r@example.net")
                except (AssertionError, OSError):
                    pass
        threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()
        try:
            for pair in (("smtpd", "queue"), ("queue", "smtpd"),
                         ("delivery", "queue"), ("queue", "delivery")) * 2:
                had = len(ledger.acked)
                wait_until(lambda: len(ledger.acked) > had + 20, "more mail")
                gw.breach(*pair)
        finally:
            enough.set()
            for t in threads:
                t.join()
        gw.ctl("flush", "all")  # there may be nothing left
        gw.wait_empty()
        ledger.check(gw, [gw.mx], duplicates=len(ledger.acked))
        equal(gw.log_has(r" (died|restart) "), [], "deaths")


main()
