#!/usr/bin/python3
"""python3-milter, and so libmilter: every edit, every answer."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

from filtered import *  # noqa: E402,F401,F403
from realmilters import *  # noqa: E402,F401,F403

import json


def plan(*steps, more=b""):
    return b"X-Plan: " + json.dumps(steps).encode() + \
        b"\r\nSubject: old\r\nX-Del: 1\r\nX-Del: 2\r\nX-Del: 3\r\n" + more + \
        b"\r\nold body\r\n"


@test
def every_edit():
    with PyMilter() as py, Filtered({"py": py}) as gw:
        data = plan(["addheader", "X-Added", "one"],
                    ["insheader", 0, "X-Top", "0"],
                    ["insheader", 2, "X-Below", "2"],
                    ["addheader", "X-Fold", "one\n\ttwo"],
                    ["chgheader", "Subject", 1, "new"],
                    ["chgheader", "X-Del", 2, ""],
                    ["chgheader", "X-Del", 1, ""],
                    ["progress"],
                    ["chgfrom", "<new@example.org>"],
                    ["addrcpt", "<added@example.net>"],
                    ["addrcpt", "<added2@example.net>", "NOTIFY=NEVER"],
                    ["delrcpt", "<y@example.net>"],
                    ["replacebody", "0123456789abc\r\n", 1, 1])
        taken(gw.one(data=data, rcpts=["x@example.net", "y@example.net"]))
        sender, rcpts, found, body = gw.delivered()
        equal(sender, "new@example.org", "sender")
        equal(sorted(rcpts), ["added2@example.net", "added@example.net",
                              "x@example.net"], "recipients")
        equal(body, b"0123456789abc\r\n", "body")
        equal(names(found), ["X-Top", "Received", "X-Below", "X-Plan",
                             "Subject", "X-Del", "X-Added", "X-Fold"],
              "fields")
        equal(found[4:], [b"Subject: new", b"X-Del: 3", b"X-Added: one",
                          b"X-Fold: one\r\n\ttwo"], "values")
        equal(gw.of_filter("py")["failures"], 0, "failures")


@test
def a_body_in_many_packets():
    """libmilter cuts it at 65535 bytes, wherever that is."""
    with PyMilter() as py, Filtered({"py": py}) as gw:
        line = "0123456789abc\r\n"
        taken(gw.one(data=plan(["replacebody", line, 9000, 3])))
        equal(gw.delivered()[3], line.encode() * 27000, "body")


@test
def every_answer():
    with PyMilter() as py, Filtered({"py": py}) as gw:
        for word, code in (("REJECT", 550), ("TEMPFAIL", 451),
                           ("DISCARD", 250), ("ACCEPT", 250)):
            got = gw.one(data=plan(["return", word]))
            equal(got[0], code, f"at the end: {got}")
            if word not in ("ACCEPT", "DISCARD"):
                with gw.client(helo="c.example") as c:
                    got = c.cmd(f"MAIL FROM:<mail-{word}@b.example>")
                    equal(got[0], code, f"MAIL: {got}")
                    c.want("MAIL FROM:<a@b.example>", 250)
                    got = c.cmd(f"RCPT TO:<rcpt-{word}@example.net>")
                    equal(got[0], code, f"RCPT: {got}")
                    c.want("RCPT TO:<x@example.net>", 250)
                    c.want("DATA", 354)
                    c.send(plan() + b".\r\n")
                    taken(c.reply())
                with gw.client() as c:
                    c.want(f"EHLO helo-{word}", 250)
                    equal(c.cmd("MAIL FROM:<a@b.example>")[0], code, "HELO")
            else:
                taken(gw.one(sender=f"mail-{word}@b.example"))
                taken(gw.one(rcpts=[f"rcpt-{word}@example.net"]))
        got = gw.one(data=plan(
            ["setreply", "550", "5.7.9", "first line", "100%% sure"],
            ["return", "REJECT"]))
        equal(got, (550, "5.7.9 first line\n5.7.9 100% sure"), "its text")
        with gw.client(helo="c.example") as c:
            got = c.mail("a@b.example", "x@example.net", plan(
                ["setreply", "421", "4.7.9", "go away"],
                ["return", "TEMPFAIL"]))
            equal(got[0], 421, f"{got}")
            c.ended()
        taken(gw.one(data=plan(["quarantine", "held by it"])))
        equal(gw.quarantined()[0]["reason"], "held by it", "reason")
        equal(gw.of_filter("py")["failures"], 0, "failures")


@test
def what_it_was_told():
    with PyMilter() as py, Filtered({"py": py}) as gw:
        data = b"X-Skip: 1\r\nX-Fold: a\r\n\tb\r\n\r\n" + \
            (b"z" * 70 + b"\r\n") * 5000
        mid = taken(gw.one(data=data, params=" BODY=8BITMIME"))
        found = {e[0]: e for e in py.seen()}
        equal(found["mail"][1], ["<s@client.example>", "BODY=8BITMIME"], "M")
        for event in ("mail", "rcpt", "data", "eoh", "eom"):
            equal(found[event][2].get("i"), mid, f"i at {event}")
        equal(found["connect"][2]["j"], "mx.test.example", "j")
        equal(found["rcpt"][2]["{rcpt_addr}"], "x@example.net", "rcpt_addr")
        equal(found["eom"][1][0], 1, "chunks, after SKIP")
        equal([e[1] for e in py.seen("header")],
              [["X-Skip", "1"], ["X-Fold", "a\n\tb"]], "headers")
        unchanged(gw.mx.wait()[0].data, data)


@test
def one_that_never_replies():
    conf = 'match for domain { "no.example" } reject "550 5.1.9 nobody"\n'
    with PyMilter("quiet") as py, Filtered({"py": py}, conf=conf) as gw:
        with gw.client(helo="c.example") as c:
            for n in range(2):
                c.want("MAIL FROM:<a@b.example>", 250)
                c.want("RCPT TO:<x@example.net>", 250)
                c.want("RCPT TO:<y@no.example>", 550)
                c.want("DATA", 354)
                c.send(plan(["addheader", "X-Quiet", " lead"],
                            more=b"X-None:x\r\n") +
                       (b"y" * 70 + b"\r\n") * 30000 + b".\r\n")
                taken(c.reply())
            c.want("MAIL FROM:<a@b.example>", 250)
            c.want("RSET", 250)
            # libmilter reads nothing more of a connection that has ended.
            wait_until(lambda: py.seen("abort"), "abort")
            c.want("QUIT", 221)
        for m in gw.mx.wait(2):
            equal(split(m.data)[0][-2:], [b"X-None:x", b"X-Quiet: lead"],
                  "spaces")
        equal([e[1][0] for e in py.seen("rcpt")],
              ["<x@example.net>", "<y@no.example>"] * 2, "RCPT")
        equal([e[2].get("{rcpt_mailer}") for e in py.seen("rcpt")][1],
              "error", "{rcpt_mailer}")
        assert "{daemon_name}" not in py.seen("connect")[0][2], "own macros"
        equal([e[1][1] for e in py.seen("header") if e[1][0] == "Subject"],
              [" old"] * 2, "leading space")


@test
def it_dies():
    """In mid message; then it is there again."""
    with PyMilter() as py, Filtered({"py": py}) as gw:
        with gw.client(helo="c.example") as c:
            c.want("MAIL FROM:<a@b.example>", 250)
            c.want("RCPT TO:<x@example.net>", 250)
            py.end(py.procs.pop())
            c.want("DATA", 451)
            c.want("RSET", 250)
            if os.path.exists(py.path("py.sock")):
                os.unlink(py.path("py.sock"))
            py.start()
            taken(c.mail("a@b.example", "x@example.net", plan()))


main()
