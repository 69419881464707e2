#!/usr/bin/python3
"""Filters that are asked after the 250, and about our own reports."""
import threading
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

from filtered import *  # noqa: E402,F401,F403

REPORTS = 'match for domain { "client.example" } action out\n'


def late(f, options="", **kw):
    return Filtered({"f": (f, f"phase queue {options}")},
                    conf=REPORTS + kw.pop("conf", ""), **kw)


@test
def asked_after_the_250():
    f = Filter()
    go = threading.Event()
    f.script = {"eom": [When(go, add_header("X-Late", "1") +
                             replace_body(b"clean\r\n") + CONTINUE)]}
    with late(f) as gw:
        mid = taken(gw.one())
        f.wait("eom")
        equal(gw.mx.mails(), [], "delivered before")
        equal([(m["id"], m["state"]) for m in gw.queue()], [(mid, "active")],
              "queue")
        go.set()
        _, _, found, body = gw.delivered()
        equal((found[-1], body), (b"X-Late: 1", b"clean\r\n"), "its changes")
        match(found[0], r"^b'Received: from client\.example", "on top")
        equal(f.seen("helo")[0].strings, ["client.example"], "helo")
        equal(f.seen("mail")[0].macros["i"], mid, "i")
        gw.wait_empty()
        equal(len(f.seen("eom")), 1, "asked")


@test
def with_those_before():
    """One set: the one before the 250, the other after."""
    now, f = Filter(), Filter()
    now.script = {"eom": add_header("X-Now", "1") + CONTINUE}
    f.script = {"eom": add_header("X-Late", "1") + CONTINUE}
    with Filtered({"f": (f, "phase queue"), "now": now}) as gw:
        taken(gw.one())
        equal(gw.delivered()[2][-2:], [b"X-Now: 1", b"X-Late: 1"], "fields")
        equal(f.seen("eom")[0].headers[-1], (b"X-Now", b"1"), "it saw")
        now.script = {"eom": REJECT}
        equal(gw.one()[0], 550, "the one before")
        equal(len(f.seen("eom")), 1, "not asked")


@test
def each_verdict():
    f = Filter()
    with late(f, before="queue retry 1s\n") as gw:
        f.script = {"eom": [DISCARD]}
        mid = taken(gw.one("dropped"))
        gw.wait_log(rf"discarded .*msg={mid}|msg={mid}.*discarded")
        gw.wait_empty()
        f.script = {"eom": [quarantine("late smell") + CONTINUE]}
        mid = taken(gw.one("aside"))
        wait_until(lambda: gw.quarantined(), "quarantine")
        equal([(m["id"], m["filter"], m["reason"]) for m in gw.quarantined()],
              [(mid, "f", "late smell")], "list")
        gw.json("quarantine", "remove", mid)
        equal(gw.mx.mails(), [], "mails")
        f.script = {"eom": [reply("554 5.6.0 no good")]}
        taken(gw.one("refused"))
        report = gw.mx.wait()[0]
        equal((report.sender, report.rcpts), ("", ["s@client.example"]), "to")
        assert b"no good" in report.data, report.data
        # Put off, then passed.
        f.script = {"eom": [TEMPFAIL, Cut()]}
        taken(gw.one("later"))
        gw.mx.wait(2)
        unchanged(gw.mx.mails()[1].data, letter("later"))
        gw.wait_empty()


@test
def nothing_is_lost_in_between():
    """A filter that hangs, and the gateway dies; twice, then it passes."""
    f = Filter({"eom": Silent()})
    with late(f, before="queue retry 1s\n") as gw:
        mids = [taken(gw.one(f"t{n}", data=letter(f"t{n}", size)))
                for n, size in enumerate((0, 100000, 500000))]
        f.wait("eom", 3)
        gw.kill()
        gw.start()
        f.wait("eom", 6)
        equal(sorted(m["id"] for m in gw.queue()), sorted(mids), "queued")
        gw.stop()
        f.script = {}
        gw.start()
        for m in gw.mx.wait(3):
            token = token_of(m.data)
            unchanged(m.data, letter(token, {"t0": 0, "t1": 100000,
                                             "t2": 500000}[token]))
        gw.wait_empty()
        equal(len(gw.mx.mails()), 3, "mails")


@test
def a_stop_puts_nothing_off():
    """Neither what is with the filter nor what waits for it."""
    f = Filter({"eom": Silent()})
    with late(f, before="workers smtpd 2 delivery 1\nqueue retry 1h\n") as gw:
        for n in range(40):
            taken(gw.one(f"t{n}"))
        f.wait("eom", 32)
        for _ in range(2):
            gw.stop()
            gw.start()
        gw.stop()
        f.script = {}
        gw.start()
        gw.mx.wait(40)
        gw.wait_empty()


@test
def a_worker_that_dies():
    f = Filter({"eom": Silent()})
    with late(f, before="workers smtpd 1 delivery 1\nqueue retry 1s\n") as gw:
        taken(gw.one())
        f.wait("eom")
        f.script = {}
        os.kill(gw.role_pids("smtpd")[0], signal.SIGKILL)
        unchanged(gw.mx.wait()[0].data, letter("t"))
        gw.wait_empty()


@test
def the_envelope():
    f = Filter()
    f.script = {"eom": change_from("<new@client.example>") +
                add_rcpt("<z@example.net>") + delete_rcpt("<y@example.net>") +
                CONTINUE}
    with late(f) as gw:
        taken(gw.one(rcpts=["x@example.net", "y@example.net"]))
        wait_until(lambda: sum(len(m.rcpts) for m in gw.mx.mails()) >= 2,
                   "two recipients")
        gw.wait_empty()
        equal(sorted(r for m in gw.mx.mails() for r in m.rcpts),
              ["x@example.net", "z@example.net"], "recipients")
        equal({m.sender for m in gw.mx.mails()}, {"new@client.example"},
              "sender")


@test
def many_at_once():
    f = Filter({"eom": lambda e: add_header("X-Late", "1") + CONTINUE})
    with late(f, before="queue retry 1s\n") as gw:
        ledger = Ledger()
        with gw.client(helo="c.example") as c:
            for n in range(100):
                ledger.send(c, f"t{n}", size=(n % 3) * 150000)
        for m in gw.mx.wait(100):
            assert b"X-Late: 1" in m.data, m.data[:300]
        gw.wait_empty()
        ledger.check(gw, [gw.mx])


@test
def our_own_reports():
    f = Filter({"eom": lambda e: add_header("X-Report", "1") + CONTINUE})
    f2 = Filter()
    with Filtered({"f": f, "f2": f2}, "{ f2 }",
                  conf=REPORTS + "queue report-milters { f }\n",
                  mx={"faults": {"rcpt": [Reply("550 5.1.1 nobody")]}}) as gw:
        taken(gw.one())
        report = gw.mx.wait()[0]
        equal(report.rcpts, ["s@client.example"], "to")
        assert b"X-Report: 1\r\n" in report.data, report.data
        equal(f.seen("mail")[0].strings[0], "<>", "sender")
        equal(f.seen("helo")[0].strings, ["mx.test.example"], "helo")
        assert b"127.0.0.1" in f.seen("connect")[0].payload
        equal(len(f2.seen("eom")), 1, "the listener's filter saw the mail")
        # One that refuses a report: there is no report about it.
        f.script = {"eom": REJECT}
        with gw.mx.changed:
            gw.mx.faults["rcpt"] = [Reply("550 5.1.1 nobody")]
        taken(gw.one())
        gw.wait_empty()
        equal(len(gw.mx.mails()), 1, "mails")


main()
