#!/usr/bin/python3
"""What clients do while filters think, and what becomes of them when the
gateway or a process of it ends meanwhile."""
import fcntl
import os
import re
import sys
import termios
import threading
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from fakedns import DNS, reverse  # noqa: E402
from postern import *  # noqa: E402,F401,F403

from filtered import *  # noqa: E402,F401,F403

PATIENT = "command-timeout 5m content-timeout 5m total-timeout 10m"
MOMENTS = ("connect", "helo", "mail", "rcpt", "data", "eom")
STEPS = {"helo": "EHLO c.example\r\n", "mail": "MAIL FROM:<a@b.example>\r\n",
         "rcpt": "RCPT TO:<x@example.net>\r\n", "data": "DATA\r\n",
         "eom": letter("t") + b".\r\n"}


def up_to(gw, moment):
    """A client whose filter is asked at this moment."""
    c = gw.client(greet=False)
    if moment != "connect":
        c.reply()
    for step, line in STEPS.items():
        if moment == "connect":
            break
        c.send(line)
        if step == moment:
            break
        equal(c.reply()[0] // 100 in (2, 3), True, step)
    return c


def arrived(c):
    """What it sent lies with the gateway, acknowledged."""
    wait_until(lambda: fcntl.ioctl(c.sock, termios.TIOCOUTQ, b"\0" * 4) ==
               b"\0" * 4, "all to arrive")


def sessions(gw, count):
    wait_until(lambda: gw.stats()["smtpd.sessions"] == count,
               f"{count} sessions")


@test
def resets_while_they_think():
    """Its session ends at once, and the filter's with it."""
    f = Filter()
    with Filtered({"f": (f, PATIENT)}) as gw:
        for moment in MOMENTS:
            f.stalled.clear()
            f.script = {moment: Silent()}
            c = up_to(gw, moment)
            assert f.stalled.wait(DEADLINE), moment
            c.reset()
            sessions(gw, 0)
            f.wait_ended()
            gw.wait_stat("smtpd.filtering", 0)
        f.script = {}
        taken(gw.one())
        equal(len(gw.mx.wait()), 1, "mails")


@test
def leaves_while_they_think():
    """It may have ended its side alone: what was begun comes to its end, and
    a mail that was whole is taken."""
    f = Filter()
    with Filtered({"f": (f, PATIENT)}) as gw:
        for moment in MOMENTS:
            f.stalled.clear()
            told = threading.Event()
            f.script = {moment: When(told, CONTINUE)}
            c = up_to(gw, moment)
            assert f.stalled.wait(DEADLINE), moment
            c.close()
            told.set()
            sessions(gw, 0)
            f.wait_ended()
        equal(len(gw.mx.wait()), 1, "mails")
        gw.wait_empty()


@test
def pipelined():
    """Replies are in order, however long each takes; what comes behind the
    content waits."""
    f = Filter()
    told = threading.Event()
    with Filtered({"f": (f, PATIENT)}) as gw:
        f.script = {m: When(told, CONTINUE) for m in ("mail", "rcpt", "data")}
        with gw.client(helo="c.example") as c:
            c.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<x@example.net>\r\n"
                   "RCPT TO:<y@elsewhere.example>\r\nNOOP\r\nDATA\r\n")
            assert f.stalled.wait(DEADLINE)
            told.set()
            equal([c.reply()[0] for _ in range(5)],
                  [250, 250, 550, 250, 354], "replies")
            f.stalled.clear()
            late = threading.Event()
            f.script = {"eom": When(late, CONTINUE)}
            c.send(letter("one") + b".\r\n" + b"NOOP\r\n" * 50 +
                   b"MAIL FROM:<a@b.example>\r\nRCPT TO:<x@example.net>\r\n"
                   b"DATA\r\n")
            assert f.stalled.wait(DEADLINE)
            late.set()
            taken(c.reply())
            equal([c.reply()[0] for _ in range(53)],
                  [250] * 52 + [354], "behind it")
            c.send(letter("two") + b".\r\n")
            taken(c.reply())
        equal(len(gw.mx.wait(2)), 2, "mails")


@test
def content_behind_a_refused_data():
    """Sent without waiting for 354: it is no commands, even though the
    filter's refusal came after it."""
    smuggled = b"RSET\r\nMAIL FROM:<evil@b.example>\r\n" \
        b"RCPT TO:<x@example.net>\r\nDATA\r\nSubject: evil\r\n\r\n.\r\n"
    f = Filter()
    with Filtered({"f": (f, PATIENT)}) as gw:
        for answer, code in ((REJECT, 550), (TEMPFAIL, 451)):
            told = threading.Event()
            f.stalled.clear()
            f.script = {"data": When(told, answer)}
            c = up_to(gw, "data")
            assert f.stalled.wait(DEADLINE)
            c.send(smuggled)
            arrived(c)
            told.set()
            equal(c.reply()[0], code, "DATA")
            c.ended()
        f.script = {}
        taken(gw.one())
        gw.wait_empty()
        equal([m.sender for m in gw.mx.mails()], ["s@client.example"],
              "mails")


@test
def speaks_before_the_greeting():
    f = Filter()
    with Filtered({"f": (f, PATIENT)}) as gw:
        told = threading.Event()
        f.script = {"connect": When(told, CONTINUE)}
        c = gw.client(greet=False)
        assert f.stalled.wait(DEADLINE)
        # More than what waits unread.
        c.send("EHLO c.example\r\n" + "NOOP\r\n" * 4000)
        arrived(c)
        told.set()
        equal(c.reply()[0], 554, "greeting")
        c.ended()
        gw.wait_log(r" reject .* stage=connect .*why=early-talker")


@test
def stops_while_they_hang():
    """Whoever waits hears 421 when the grace is over."""
    f = Filter()
    with Filtered({"f": (f, PATIENT)}) as gw:
        clients = {}
        for moment in MOMENTS:
            f.stalled.clear()
            f.script = {moment: Silent()}
            clients[moment] = up_to(gw, moment)
            assert f.stalled.wait(DEADLINE), moment
        equal(gw.stop(), 0, "exit")
        for moment, c in clients.items():
            equal(c.reply()[0], 421, moment)
            c.ended()
        f.wait_ended()
        gw.start()
        f.script = {}
        taken(gw.one())
        equal(len(gw.mx.wait()), 1, "mails")


@test
def another_queue_comes_meanwhile():
    """A body in a file of the one before is nothing to it."""
    f = Filter()
    with Filtered({"f": (f, PATIENT)}) as gw:
        told = threading.Event()
        f.script = {"eom": When(told, CONTINUE)}
        with gw.client(helo="c.example") as c:
            c.want("MAIL FROM:<a@b.example>", 250)
            c.want("RCPT TO:<x@example.net>", 250)
            c.want("DATA", 354)
            c.send(stuff(letter("t", 2000000)) + b".\r\n")
            assert f.stalled.wait(DEADLINE)
            old = gw.role_pids("queue")
            os.kill(old[0], signal.SIGKILL)
            wait_until(lambda: [p for p in gw.role_pids("queue")
                                if p not in old], "a new queue")
            # It is there for smtpd, too.
            wait_until(lambda: taken_elsewhere(gw), "mail again")
            before = len(gw.mx.wait())
            told.set()
            refused(c.reply(), 451)
            taken(c.mail("a@b.example", "x@example.net", letter("again")))
        gw.wait_empty()
        equal(len(gw.mx.mails()), before + 1, "mails")


def taken_elsewhere(gw):
    gw.filters["f"][0].script = {}
    return gw.outcome()[0] == 250


@test
def names_that_are_not_confirmed():
    """Filters hear them, and that they are not; nobody else does."""
    zone = {"good.example": {"A": "127.9.0.1"},
            "liar.example": {"A": "127.9.0.200"}}
    for n, name in ((1, "good"), (2, "liar")):
        zone[reverse(f"127.9.0.{n}")] = {"PTR": f"{name}.example"}
    want = {1: ("good.example", "good.example", "OK",
                "good.example [127.9.0.1]"),
            2: ("[127.9.0.2]", "liar.example", "FORGED",
                "liar.example [127.9.0.2] (may be forged)"),
            3: ("[127.9.0.3]", "unknown", "FAIL", "unknown [127.9.0.3]")}
    f = Filter()
    with DNS(zone) as dns, Filtered({"f": f}, before=dns.conf()) as gw:
        for n, values in want.items():
            f.forget()
            with Client(gw.address, gw.port, source=f"127.9.0.{n}",
                        helo="liar.example") as c:
                taken(c.mail("a@b.example", "x@example.net", letter("t")))
            found = f.wait("connect")
            equal(tuple(found.macros.get(m) for m in
                        ("{client_name}", "{client_ptr}", "{client_resolve}",
                         "_")), values, str(n))
        # Delivered side by side: in no order.
        mails = sorted(m.data.decode() for m in gw.mx.wait(3))
        equal([re.match(r"Received: from liar\.example \((\S+ \[.*?\])\)",
                        m)[1] for m in mails],
              ["good.example [127.9.0.1]", "unknown [127.9.0.2]",
               "unknown [127.9.0.3]"], "Received")


main()
