#!/usr/bin/python3
"""Several filters: in a row, side by side, and chosen where it matters."""
import threading
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

from filtered import *  # noqa: E402,F401,F403

MAIL = b"Subject: one\r\nX-Dup: 1\r\nX-Dup: 2\r\n\r\nbody\r\n"
REPLIES = {"421": SHUTDOWN, "5xx": REJECT, "4xx": TEMPFAIL,
           "discard": DISCARD, "accept": ACCEPT, "continue": CONTINUE}
STRICT = ["continue", "accept", "discard", "4xx", "5xx", "421"]
CODE = {"421": 421, "5xx": 550, "4xx": 451, "discard": 250, "accept": 250,
        "continue": 250}


def three(chosen="{ a, b, c }", **kw):
    fs = {n: Filter() for n in "abc"}
    return fs["a"], fs["b"], fs["c"], Filtered(fs, chosen, **kw)


class Together:
    """Filters that answer only when all of them were asked: only side by
    side do they get there."""

    def __init__(self, n):
        self.barrier = threading.Barrier(n, timeout=30)

    def then(self, what=CONTINUE):
        def wait(event):
            self.barrier.wait()
            return what
        return wait


def stages(c, data=MAIL):
    """The replies to MAIL, RCPT, DATA and dot, as far as it gets."""
    codes = []
    for line in ("MAIL FROM:<a@b.example>", "RCPT TO:<x@example.net>", "DATA",
                 data + b".\r\n"):
        codes.append(c.cmd(line)[0])
        if codes[-1] // 100 not in (2, 3):
            break
    return codes


@test
def in_a_row():
    """The first that refuses ends it; those behind do not hear of it."""
    a, b, c, gw = three()
    with gw:
        for moment, told_c in (("connect", "O"), ("helo", "C"),
                               ("mail", "H"), ("rcpt", "M"), ("data", "R")):
            for f in (a, b, c):
                f.script = {}
                f.forget()
            b.script = {moment: REJECT}
            with gw.client() as s:
                s.want("EHLO c.example", 250)
                equal(stages(s)[-1], 550, moment)
                s.cmd("QUIT")
            a.wait_ended()
            b.wait_ended()
            c.wait_ended()
            assert moment not in c.moments(), (moment, c.order())
            assert moment in a.moments(), (moment, a.order())
            if moment not in ("connect", "helo"):
                assert a.order().rstrip("Q").endswith("A"), a.order()
        for f in (a, b, c):
            f.script = {}
        taken(gw.one())


@test
def in_a_row_each_sees_the_changes():
    a, b, c, gw = three()
    a.script = {"eom": insert_header(0, "X-A", "1") +
                change_header(1, "Subject", "two") +
                replace_body(b"by a\r\n") + ACCEPT}
    b.script = {"eom": delete_header(2, "X-Dup") +
                change_header(1, "X-A", "2") + CONTINUE}
    with gw:
        taken(gw.one(data=MAIL))
        equal(b.seen("eom")[0].headers,
              [(b"X-A", b"1"), (b"Subject", b"two"), (b"X-Dup", b"1"),
               (b"X-Dup", b"2")], "b saw")
        equal(b"".join(b.seen("eom")[0].body), b"by a\r\n", "b saw")
        equal(c.seen("eom")[0].headers,
              [(b"X-A", b"2"), (b"Subject", b"two"), (b"X-Dup", b"1")],
              "c saw")
        _, _, found, body = gw.delivered()
        equal((found[0], found[2:], body),
              (b"X-A: 2", [b"Subject: two", b"X-Dup: 1"], b"by a\r\n"),
              "delivered")


@test
def in_a_row_a_refusal_takes_all_changes_back():
    """M-16, and what the others are told."""
    a, b, c, gw = three()
    with gw:
        for answer, code in ((REJECT, 550), (TEMPFAIL, 451), (DISCARD, 250),
                             (Cut(), 451)):
            for f in (a, b, c):
                f.forget()
            a.script = {"eom": [replace_body(b"by a\r\n") + CONTINUE]}
            b.script = {"eom": [answer]}
            with gw.client(helo="c.example") as s:
                equal(s.mail("a@b.example", "x@example.net", MAIL)[0], code,
                      "b's answer")
                assert "L" not in c.order(), "c saw it"
                taken(s.mail("a@b.example", "x@example.net", MAIL))
            c.wait_ended()
            match(c.order(), "^OCHMRTAMRTLNBEQ$", "c")
        for m in gw.mx.wait(4):
            unchanged(m.data, MAIL)


@test
def side_by_side_at_every_stage():
    """All are asked before any has answered: commands, content, the end."""
    a, b, c, gw = three("{ { a, b, c } }")
    with gw:
        for moment in ("connect", "helo", "mail", "rcpt", "data", "header",
                       "eoh", "body", "eom"):
            barrier = Together(3)
            for f in (a, b, c):
                f.script = {moment: [barrier.then()]}
            taken(gw.one(moment))
        gw.mx.wait(9)


@test
def steps_come_one_after_the_other():
    """a and b side by side, c when both are done."""
    a, b, c, gw = three("{ { a, b }, c }")
    a.script = {"eom": add_header("X-A", "1") + CONTINUE}
    b.script = {"eom": add_header("X-B", "2") + CONTINUE}
    with gw:
        taken(gw.one(data=MAIL))
        equal([len(f.seen("eom")[0].headers) for f in (a, b, c)], [3, 3, 5],
              "fields that were shown")
        equal(c.seen("eom")[0].headers[3:], [(b"X-A", b"1"), (b"X-B", b"2")],
              "in the order listed")


@test
def the_strictest_counts():
    """Every pair of verdicts, at a command and at the end of the message."""
    a, b, _, gw = three("{ { a, b } }")
    with gw:
        for n, x in enumerate(STRICT):
            for m, y in enumerate(STRICT):
                for moment in ("mail", "eom"):
                    a.script, b.script = {moment: REPLIES[x]}, \
                        {moment: REPLIES[y]}
                    with gw.client(helo="c.example") as s:
                        equal(stages(s)[-1], CODE[STRICT[max(n, m)]],
                              f"{x} and {y} at {moment}")
        a.script = {"eom": quarantine("why") + CONTINUE}
        for y, code, held in (("continue", 250, 1), ("accept", 250, 2),
                              ("discard", 250, 2), ("4xx", 451, 2),
                              ("5xx", 550, 2)):
            b.script = {"eom": REPLIES[y]}
            equal(gw.one()[0], code, f"quarantine and {y}")
            wait_until(lambda: len(gw.quarantined()) == held, "quarantine")


@test
def siblings_are_told_of_the_end():
    a, b, c, gw = three("{ { a, b, c } }")
    with gw:
        for moment in ("mail", "data", "eoh", "eom"):
            for f in (a, b, c):
                f.script = {}
                f.forget()
            b.script = {moment: [REJECT]}
            with gw.client(helo="c.example") as s:
                equal(stages(s)[-1], 550, moment)
                taken(s.mail("a@b.example", "x@example.net", MAIL))
            for f in (a, b, c):
                f.wait_ended()
                assert len(f.seen("eom")) >= 1, (moment, f.order())
            if moment in ("mail", "data"):
                for f in (a, c):
                    assert "A" in f.order(), (moment, f.order())


@test
def a_refused_recipient_stays_known_to_siblings():
    a, b, _, gw = three("{ { a, b } }")
    b.script = {"rcpt": [CONTINUE, REJECT]}
    with gw:
        with gw.client(helo="c.example") as s:
            s.want("MAIL FROM:<a@b.example>", 250)
            s.want("RCPT TO:<x@example.net>", 250)
            s.want("RCPT TO:<y@example.net>", 550)
            s.want("DATA", 354)
            s.send(MAIL + b".\r\n")
            taken(s.reply())
        equal(gw.delivered()[1], ["x@example.net"], "recipients")
        equal(len(a.seen("rcpt")), 2, "a was told")
        equal(len(a.seen("eom")), 1, "and goes on")


@test
def changes_side_by_side():
    """Indexes mean what was shown; applied in the order listed."""
    a, b, _, gw = three("{ { a, b } }")
    a.script = {"eom": delete_header(1, "X-Dup") +
                insert_header(1, "X-In", "a") + CONTINUE}
    b.script = {"eom": change_header(2, "X-Dup", "b") +
                insert_header(1, "X-In", "b") + add_header("X-End", "b") +
                CONTINUE}
    with gw:
        taken(gw.one(data=MAIL))
        _, _, found, _ = gw.delivered()
        equal(sorted(found[1:3]), [b"X-In: a", b"X-In: b"], "inserted")
        equal(found[3:], [b"Subject: one", b"X-Dup: b", b"X-End: b"],
              "the rest")


@test
def conflicts_side_by_side():
    """The later filter wins, and the log has it."""
    for first, second, want in (
            (change_header(1, "Subject", "a"),
             change_header(1, "Subject", "b"), [b"Subject: b"]),
            (delete_header(1, "Subject"),
             change_header(1, "Subject", "b"), [b"Subject: b"]),
            (change_header(1, "Subject", "a"),
             delete_header(1, "Subject"), [])):
        a, b, _, gw = three("{ { a, b } }")
        with gw:
            a.script = {"eom": first + CONTINUE}
            b.script = {"eom": second + CONTINUE}
            taken(gw.one(data=MAIL))
            found = gw.delivered()[2]
            equal([x for x in found if x.startswith(b"Subject")], want,
                  "Subject")
            gw.wait_log("(?i)subject")


@test
def two_bodies_side_by_side():
    """The second one is a failure of the later filter."""
    fs = {"a": Filter({"eom": replace_body(b"by a\r\n") + CONTINUE}),
          "b": (Filter({"eom": replace_body(b"by b\r\n") +
                        add_header("X-B", "1") + CONTINUE}),
                "on-failure accept")}
    with Filtered(fs, "{ { a, b } }") as gw:
        got = gw.one(data=MAIL)
        assert got[0] in (250, 451), got
        gw.wait_log(r" milter .*name=b.*fault=")
        if got[0] == 250:
            _, _, found, body = gw.delivered()
            equal((len(found), body), (4, b"by a\r\n"), "a's, without b's")
    a, b = Filter(), Filter()
    b.script = a.script = {"eom": replace_body(b"new\r\n") + CONTINUE}
    with Filtered({"a": a, "b": b}, "{ { a, b } }") as gw:
        equal(gw.one(data=MAIL)[0], 451, "tempfail")
    a, b = Filter(), Filter()
    a.script = {"eom": replace_body(b"by a\r\n") + CONTINUE}
    b.script = {"eom": replace_body(b"by b\r\n") + CONTINUE}
    with Filtered({"a": a, "b": b}) as gw:
        taken(gw.one(data=MAIL))
        equal(gw.delivered()[3], b"by b\r\n", "in a row")


@test
def one_fails_in_a_group():
    """Its changes are dropped whole, those of the others stand."""
    for policy, code in (("accept", 250), ("tempfail", 451),
                         ("reject", 550), ("quarantine", 250)):
        a, b = Filter(), Filter()
        a.script = {"eom": add_header("X-A", "1") + CONTINUE}
        b.script = {"eom": Cut(add_header("X-B", "1"))}
        with Filtered({"a": a, "b": (b, f"on-failure {policy}")},
                      "{ { a, b } }") as gw:
            equal(gw.one(data=MAIL)[0], code, policy)
            if policy == "accept":
                equal(gw.delivered()[2][1:], split(MAIL)[0] + [b"X-A: 1"],
                      "fields")
            if policy == "quarantine":
                equal(len(gw.quarantined()), 1, "set aside")


@test
def per_listener():
    a, b = Filter(), Filter()
    conf = "listen on $own_address port $second milters { b }\n" \
           "listen on $own_address port $third\n"
    v = {"second": free_port(own_address()), "third": free_port(own_address())}
    with Filtered({"a": a, "b": b}, "{ a }", conf, values=v) as gw:
        taken(gw.one())
        for port in v.values():
            with Client(gw.address, port, helo="c.example") as c:
                taken(c.mail("a@b.example", "x@example.net", MAIL))
        gw.mx.wait(3)
        equal((len(a.seen("eom")), len(b.seen("eom"))), (1, 1), "asked")


@test
def per_source():
    f = Filter()
    inner = own_address(3)
    with Filtered({"f": f}, listener=f'no-milters from {{ {inner} }}') as gw:
        with gw.client(helo="c.example", source=inner) as c:
            taken(c.mail("a@b.example", "x@example.net", MAIL))
        equal(f.total, 0, "asked about a trusted source")
        with gw.client(helo="c.example", source=own_address(4)) as c:
            taken(c.mail("a@b.example", "x@example.net", MAIL))
        equal(len(f.seen("eom")), 1, "asked")


@test
def per_recipient():
    """The first recipient's set; another waits for the next transaction."""
    a, b = Filter(), Filter()
    conf = 'action out relay to "$hop"\n' \
           'match for domain { "b.example" } action out milters { b }\n' \
           'match for domain { "ab.example" } action out milters { a, b }\n' \
           'match for domain { "none.example" } action out milters { }\n' \
           'match for domain { "a.example" } action out\n' \
           'match for domain { "no.example" } reject\n'
    with Filtered({"a": a, "b": b}, "{ a }", conf, relay=False) as gw:
        with gw.client(helo="c.example") as c:
            for first, same, other in (
                    ("a.example", "a.example", "b.example"),
                    ("b.example", "b.example", "a.example"),
                    ("ab.example", "ab.example", "b.example"),
                    ("none.example", "none.example", "a.example")):
                a.forget()
                b.forget()
                c.want("MAIL FROM:<a@b.example>", 250)
                c.want("RCPT TO:<x@no.example>", 550)
                c.want(f"RCPT TO:<x@{first}>", 250)
                got = c.cmd(f"RCPT TO:<y@{other}>")
                equal(got[0], 452, f"{other} after {first}: {got}")
                match(got[1], r"^4\.5\.3 ", "text")
                match(got[1], "(?i)filter", "a text that says so")
                c.want(f"RCPT TO:<z@{same}>", 250)
                c.want("DATA", 354)
                c.send(MAIL + b".\r\n")
                taken(c.reply())
                equal((len(a.seen("eom")), len(b.seen("eom"))),
                      (int(first[0] == "a"), int("b" in first[:2])), first)
            # Nobody was accepted: it is open again.
            b.script = {"rcpt": [REJECT]}
            c.want("MAIL FROM:<a@b.example>", 250)
            c.want("RCPT TO:<x@b.example>", 550)
            c.want("RCPT TO:<x@a.example>", 250)
            c.want("RSET", 250)
        gw.mx.wait(4)
        b.wait_ended()


@test
def one_that_joins_late_is_caught_up():
    """With the same macros; what it says then counts."""
    a, b = Filter(), Filter()
    conf = 'action out relay to "$hop"\n' \
           'match for domain { "b.example" } action out milters { b }\n'
    with Filtered({"a": a, "b": b}, "{ a }", conf, relay=False) as gw:
        mid = taken(gw.one(rcpts=["x@b.example"]))
        equal(b.order()[:9], "OCHMRTLNB", "told")
        equal(b.seen("helo")[0].strings, ["client.example"], "helo")
        equal(b.seen("connect")[0].macros, a.seen("connect")[0].macros,
              "macros of connect")
        equal(b.seen("mail")[0].macros["i"], mid, "i at MAIL")
        for moment, code in (("connect", 550), ("helo", 550), ("mail", 550),
                             ("rcpt", 550)):
            b.script = {moment: [REJECT]}
            with gw.client(helo="c.example") as c:
                c.want("MAIL FROM:<a@b.example>", 250)
                equal(c.cmd("RCPT TO:<x@b.example>")[0], code, moment)
        b.script = {}
        taken(gw.one(rcpts=["x@b.example"]))


@test
def shadow():
    """Asked, logged, counted, compared; never obeyed."""
    live, f = Filter(), Filter()
    with Filtered({"live": live, "f": (f, "shadow")}) as gw:
        mails = 0
        for script in ({"connect": REJECT}, {"helo": REJECT},
                       {"mail": REJECT}, {"rcpt": REJECT}, {"data": REJECT},
                       {"header": REJECT}, {"eom": REJECT},
                       {"eom": SHUTDOWN}, {"eom": DISCARD},
                       {"eom": quarantine("x") + CONTINUE},
                       {"eom": replace_body(b"x\r\n") +
                        add_header("X", "1") + CONTINUE},
                       {"eom": Cut()}, {"negotiate": Cut()}, {}):
            f.script = script
            taken(gw.one(data=MAIL))
            mails += 1
            unchanged(gw.mx.wait(mails)[-1].data, MAIL)
        equal(gw.quarantined(), [], "quarantined")
        gw.wait_log(r" milter .*name=f .*verdict=reject.*shadow")
        m = gw.of_filter("f")
        assert m["shadow"] is True, m
        assert m["differed"] >= 7 and m["compared"] > m["differed"], m
        live.script = {"eom": REJECT}
        f.script = {"eom": REJECT}
        equal(gw.one(data=MAIL)[0], 550, "the live one's")
        equal(gw.of_filter("f")["differed"], m["differed"], "the same")


main()
