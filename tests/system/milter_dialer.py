#!/usr/bin/python3
"""Connections to filters when they are hard to get: crowds at a socket, a
dialer that hangs, descriptors that run out."""
import os
import re
import resource
import signal
import sys
import threading
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

from filtered import *  # noqa: E402,F401,F403

ONE = "workers smtpd 1 delivery 1\n"


class Busy(Filter):
    """Takes no connection before it is told to, and lets one or two wait."""

    def __init__(self):
        super().__init__(listen=False)

    def listen(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(self.address)
        os.chmod(self.address, 0o666)
        self.sock.listen(0)

    def work(self):
        threading.Thread(target=self._accept, args=(self.sock,),
                         daemon=True).start()


@test
def a_crowd():
    """More sessions at once than a filter's socket lets wait: all of them
    get there, and the filter is none the worse."""
    f = Busy()
    f.listen()
    with Filtered({"f": f}, before=ONE) as gw:
        clients = [gw.client(greet=False) for _ in range(60)]
        wait_until(lambda: gw.stats()["dialer.waiting"] >= 50, "a crowd")
        f.work()
        equal({c.reply()[0] for c in clients}, {220}, "greetings")
        for c in clients:
            c.want("EHLO c.example", 250)
            c.want("MAIL FROM:<a@b.example>", 250)
        equal(gw.stats()["dialer.waiting"], 0, "nobody waits")
        equal(gw.of_filter("f")["failures"], 0, "failures")
        for c in clients:
            c.close()
        equal(gw.one()[0], 250, "a mail")


@test
def a_stopped_dialer():
    """It is not the filters' fault: nobody waits longer than for one of
    them, once, and as soon as it goes on all is well."""
    a, b = Filter(), Filter()
    more = Filter()
    # Long enough for one of them that is only busy.
    slow = "connect-timeout 4s rest 1h failures 1"
    with Filtered({"a": ([a, more], slow), "b": ([b], slow)},
                  before=ONE) as gw:
        old = gw.client(helo="c.example")
        old.want("MAIL FROM:<a@b.example>", 250)
        pid = gw.role_pids("dialer")[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(20):
                equal(gw.outcome()[0], 451, "no connection")
            gw.mark()
            equal(len(gw.log_has("fault=\"the dialer does not answer\"")), 1,
                  "sessions that waited")
            old.want("RCPT TO:<x@example.net>", 250)
            old.want("DATA", 354)
            old.send(letter("old") + b".\r\n")
            equal(old.reply()[0], 250, "it has its filters")
        finally:
            os.kill(pid, signal.SIGCONT)
        for name in "ab":
            equal(gw.of_filter(name)["failures"], 0, "failures")
        wait_until(lambda: gw.outcome()[0] == 250, "filters again")
        old.close()


class Poor(Filtered):
    """May have so few descriptors open in each process."""

    NOFILE = 400

    def command(self, *args):
        limit = f"--nofile={self.NOFILE}:{self.NOFILE}"
        return ["prlimit", limit] + super().command(*args)

    def start(self):
        super().start()
        # Root may raise it again, and may lower it again.
        pid = self.role_pids("smtpd")[0]
        with open(f"/proc/{pid}/limits") as f:
            if not re.search(rf"open files +{self.NOFILE} ", f.read()):
                resource.prlimit(pid, resource.RLIMIT_NOFILE,
                                 (self.NOFILE, self.NOFILE))
        return self


@test
def no_descriptors():
    """Fewer than sessions want: who finds none is sent away in order,
    nothing breaks, and there is room again when they are gone."""
    f = Filter()
    with Poor({"f": (f, "connections 10000 failures 100000")},
              before=ONE + "limit filtering 10000\n") as gw:
        equal(gw.one()[0], 250, "a mail")
        pid = gw.role_pids("smtpd")[0]
        clients = [gw.client(greet=False) for _ in range(500)]
        seen = {}
        for c in clients:
            c.greeting = c.reply()[0]
            add(seen, c.greeting)
        assert seen[220] >= 100 and seen[421] >= 100, seen
        # Most have their filter, the others hear that it fails.
        clients, gone = [c for c in clients if c.greeting == 220], [
            c for c in clients if c.greeting == 421]
        for c in clients:
            c.send("EHLO c.example\r\nMAIL FROM:<a@b.example>\r\n")
        for c in clients:
            equal(c.reply()[0], 250, "EHLO")
        assert {c.reply()[0] for c in clients} <= {250, 451}
        for c in clients + gone:
            c.close()
        gw.wait_filter("f", lambda m: m["sessions"] == 0, "no session")
        wait_until(lambda: gw.outcome()[0] == 250, "a mail again")
        equal(gw.role_pids("smtpd"), [pid], "the same process")
        equal(gw.log_has(" channel edge="), [], "channels")


main()
