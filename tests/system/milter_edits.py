#!/usr/bin/python3
"""What a filter changes, and what is delivered: to the byte."""
import hashlib
import random
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

from filtered import *  # noqa: E402,F401,F403

MAIL = (b"Received: from far.example by near.example; today\r\n"
        b"From: a@b.example\r\nX-Dup: 1\r\nSubject: one\r\n\ttwo\r\n"
        b"X-Dup: 2\r\nX-Dup: 3\r\n\r\nline one\r\n.line two\r\n")
SHOWN = split(MAIL)[0]
BODY = split(MAIL)[1]


class Editing:
    """A filter that edits one mail after the other."""

    def __init__(self):
        self.filter = Filter()
        self.gw = Filtered({"f": self.filter})
        self.mails = 0

    def __enter__(self):
        self.gw.__enter__()
        return self

    def __exit__(self, *why):
        self.gw.__exit__(*why)

    def mail(self, edits, data=MAIL, rcpts=("x@example.net",)):
        """What comes of it: (sender, rcpts, fields with ours as None,
        body)."""
        self.filter.script = {"eom": edits + CONTINUE}
        taken(self.gw.one(data=data, rcpts=rcpts))
        self.mails += 1
        sender, to, found, body = self.gw.delivered(self.mails)
        self.gw.wait_empty()
        ours = [n for n, x in enumerate(found) if b"mx.test.example" in x and
                x.startswith(b"Received:")]
        equal(len(ours), 1, f"our Received in {found}")
        found[ours[0]] = None
        return sender, to, found, body

    def fields(self, edits, data=MAIL):
        found, body = self.mail(edits, data)[2:]
        equal(body, split(data)[1], "body")
        return found


def editing(fn):
    """A test that has one."""
    def run():
        with Editing() as e:
            fn(e)
    run.__name__ = fn.__name__
    return test(run)


@editing
def nothing_is_nothing(e):
    equal(e.fields(NOTHING), [None] + SHOWN, "fields")


@test
def odd_mails_pass_unchanged():
    """Byte for byte, whatever they look like, through two filters."""
    odd = [MAIL, b"", b"\r\n", b"\r\n\r\n", b"no header at all\r\n",
           b" starts with a blank\r\nX: y\r\n\r\nbody\r\n",
           b"X: y\r\n", b"X: y\r\n\r\n", b"X:y\r\nnot a field\r\nZ: z\r\n",
           b"X-Empty:\r\nX-Blank: \r\n\r\n\r\n\r\n",
           b"X : blank before the colon\r\n\r\nbody\r\n",
           b"From a@b Sat Nov 21\r\nX: y\r\n\r\nbody\r\n",
           b"X: " + b"y" * 60000 + b"\r\n\r\nbody\r\n",
           b"X: one\r\n \r\n\ttwo\r\n\r\nbody\r\n",
           b"X: \xff\xfe\r\n\r\n\xe9\x80\r\n",
           b"X: y\r\n\r\n" + b".\r\n..\r\n...\r\n" +
           bytes(range(14, 256)) + b"\r\n",
           b"X: y\r\n\r\n" + b"z" * 131072 + b"\r\n"]
    with Filtered({"a": Filter(), "b": Filter(steps=LEADSPC)},
                  before="limit text-line 1M\n") as gw:
        for n, data in enumerate(odd):
            taken(gw.one(data=data))
            got = gw.mx.wait(n + 1)[n].data
            if data:
                at = got.find(data) if len(data) > 4 else len(got) - len(data)
                equal(got[at:], data, f"mail {n}")
                equal(len(split(got[:at])[0]), 1, f"mail {n}: {got[:at]!r}")


@editing
def add(e):
    equal(e.fields(add_header("X-New", "one") + add_header("X-New", "") +
                 add_header("X-Fold", "one\n\ttwo\n three")),
          [None] + SHOWN + [b"X-New: one", b"X-New:",
                            b"X-Fold: one\r\n\ttwo\r\n three"], "fields")


@editing
def insert(e):
    """0 is above our own Received, 1 below it; beyond the end is the end."""
    for index, at in ((0, 0), (1, 1), (3, 3), (7, 7), (8, 7), (4294967295, 7),
                      (2147483648, 7)):
        want = [None] + SHOWN
        want.insert(at, b"X-In: here")
        equal(e.fields(insert_header(index, "X-In", "here")), want,
              f"at {index}")
    equal(e.fields(insert_header(0, "X-A", "1") +
                   insert_header(0, "X-B", "2") +
                   insert_header(1, "X-C", "3")),
          [b"X-B: 2", b"X-C: 3", b"X-A: 1", None] + SHOWN, "several")


@editing
def change(e):
    def want(changes):
        found = [changes.get(n, x) for n, x in enumerate(SHOWN)]
        return [None] + [x for x in found if x is not None]
    subject = {3: b"Subject: new"}
    equal(e.fields(change_header(1, "subject", "new"))[4].lower(),
          b"subject: new", "the case of names")
    for index in 0, 1:
        equal(e.fields(change_header(index, "Subject", "new")), want(subject),
              f"index {index}")
    equal(e.fields(change_header(2, "X-Dup", "new")), want({4: b"X-Dup: new"}),
          "the second")
    equal(e.fields(change_header(1, "Received", "from me")),
          want({0: b"Received: from me"}), "not our own")
    equal(e.fields(change_header(4, "X-Dup", "4")), want({}) + [b"X-Dup: 4"],
          "not there: appended")
    equal(e.fields(change_header(1, "X-None", "")), want({}), "nothing to do")
    equal(e.fields(delete_header(2, "x-dup")), want({4: None}), "delete")
    # What stands behind moves up, at once.
    equal(e.fields(delete_header(1, "X-Dup") + delete_header(1, "X-Dup")),
          want({2: None, 4: None}), "the first, twice")
    equal(e.fields(delete_header(0, "X-Dup") + delete_header(0, "X-Dup") +
                 delete_header(0, "X-Dup")),
          want({2: None, 4: None, 5: None}), "index 0 thrice")
    equal(e.fields(add_header("X-Dup", "4") +
                   change_header(4, "X-Dup", "new")),
          want({}) + [b"X-Dup: new"], "its own")
    equal(e.fields(delete_header(1, "X-Dup") + insert_header(1, "X-Dup", "0") +
                 change_header(1, "X-Dup", "zero")),
          [None, b"X-Dup: zero"] + want({2: None})[1:], "all of it")


@editing
def body(e):
    for new, want in ((b"new\r\n", b"new\r\n"), (b"", b""),
                      (b"no line end", b"no line end\r\n"),
                      (b".\r\n..x\r\n", b".\r\n..x\r\n"),
                      (b"bare\nlf\n", b"bare\r\nlf\r\n")):
        _, _, found, got = e.mail(replace_body(new))
        equal((found, got), ([None] + SHOWN, want), repr(new))
    text = b"0123456789abcd\r\n" * 20000
    for chunk in (1, 15, 16, 65535):
        part = text[:4000] if chunk < 10 else text
        equal(e.mail(replace_body(part, chunk))[3], part, f"chunks {chunk}")
    # Other edits may stand between.
    _, _, found, got = e.mail(
        replace_body(b"one\r") + add_header("X-A", "1") +
        replace_body(b"\ntwo\r\n"))
    equal((found, got), ([None] + SHOWN + [b"X-A: 1"], b"one\r\ntwo\r\n"),
          "with others between")


@test
def a_body_of_50_mib():
    """Replaced by another of its size; what it saw was what was sent."""
    line = b"0123456789" * 7 + b"\r\n"
    head = b"Subject: large\r\n\r\n"
    text = line * ((50 << 20) // len(line))
    seen = []

    def other(event):
        seen.append(hashlib.sha256(b"".join(event.body)).hexdigest())
        return replace_body(text.replace(b"0", b"X")) + CONTINUE
    f = Filter({"eom": other})
    with Filtered({"f": f}, before="limit message-size 64M\n",
                  mx={"extensions": ("PIPELINING",)}) as gw:
        taken(gw.one(data=head + text))
        _, _, _, got = gw.delivered()
        equal(seen, [hashlib.sha256(text).hexdigest()], "what it saw")
        equal(hashlib.sha256(got).hexdigest(), hashlib.sha256(
            text.replace(b"0", b"X")).hexdigest(), "what was delivered")
        gw.wait_empty()
        wait_until(lambda: os.listdir(f"{gw.dir}/spool/large") == []
                   if os.path.isdir(f"{gw.dir}/spool/large") else True,
                   "the files of both bodies to go")


@test
def a_body_beyond_the_limit():
    f = Filter({"eom": Say(*[packet("b", b"x" * 65533 + b"\r\n")] * 40) +
                CONTINUE})
    with Filtered({"f": f}, before="limit message-size 1M\n") as gw:
        got = gw.one()
        assert got[0] // 100 in (4, 5), got
        f.script = {}
        taken(gw.one())
        gw.wait_empty()
    equal(len(gw.mx.mails()), 1, "mails")


@editing
def sender(e):
    for edit, want in ((change_from("<new@b.example>"), "new@b.example"),
                       (change_from("new@b.example"), "new@b.example"),
                       (change_from("<>"), ""), (change_from(""), ""),
                       (change_from("<n@b.example>", "RET=HDRS"),
                        "n@b.example"),
                       (change_from("<one@b.example>") +
                        change_from("<two@b.example>"), "two@b.example")):
        equal(e.mail(edit)[0], want, "sender")


@editing
def recipients(e):
    both = ["x@example.net", "y@example.net"]
    for edit, want in (
            (add_rcpt("<z@example.net>"), both + ["z@example.net"]),
            (add_rcpt("z@example.net", "NOTIFY=NEVER"),
             both + ["z@example.net"]),
            (add_rcpt("<x@example.net>"), both),
            (add_rcpt("<>"), both),
            (delete_rcpt("<y@example.net>"), both[:1]),
            (delete_rcpt("y@EXAMPLE.net"), both[:1]),
            (delete_rcpt("<nobody@example.net>"), both),
            (delete_rcpt("<y@example.net>") + add_rcpt("<y@example.net>"),
             both)):
        equal(sorted(e.mail(edit, rcpts=both)[1]), want, "recipients")


@test
def a_recipient_that_the_rules_refuse():
    f = Filter({"eom": add_rcpt("<z@elsewhere.example>") + CONTINUE})
    with Filtered({"f": f}) as gw:
        taken(gw.one())
        equal(gw.delivered()[1], ["x@example.net"], "recipients")
        gw.wait_empty()
        gw.wait_log("z@elsewhere.example")


@test
def no_recipient_is_left():
    f = Filter({"eom": delete_rcpt("<x@example.net>") + CONTINUE})
    with Filtered({"f": f}) as gw:
        mid = taken(gw.one())
        gw.wait_log(rf"msg={mid}")
        f.script = {}
        taken(gw.one("second"))
        gw.wait_empty()
        equal([token_of(m.data) for m in gw.mx.mails()], ["second"], "mails")


@test
def nothing_of_it_when_it_refuses():
    edits = add_header("X-A", "1") + replace_body(b"new\r\n") + \
        change_from("<n@b.example>") + add_rcpt("<z@example.net>")
    f = Filter({"eom": [edits + REJECT, edits + TEMPFAIL, edits + DISCARD]})
    with Filtered({"f": f}) as gw:
        with gw.client(helo="c.example") as c:
            for code in (550, 451, 250):
                equal(c.mail("a@b.example", "x@example.net", MAIL)[0], code,
                      "verdict")
            taken(c.mail("a@b.example", "x@example.net", MAIL))
        sender, rcpts, found, got = gw.delivered()
        equal((sender, rcpts, found[1:], got),
              ("a@b.example", ["x@example.net"], SHOWN, BODY), "unchanged")


@editing
def no_header_comes_in_by_a_value(e):
    """Line ends in names and values never make a field or end the block."""
    for value in ("a\nX-Evil: 1", "a\r\nX-Evil: 1", "a\n\nbody", "a\r\n\r\nb",
                  "a\rX-Evil: 1", "a\n", "a\r\n"):
        _, _, found, got = e.mail(add_header("X-Val", value))
        equal(got, BODY, repr(value))
        assert "X-Evil" not in names([x for x in found if x]), found
        equal(len(found), len(SHOWN) + 2, f"{value!r}: {found}")
        assert b"\r" not in found[-1].replace(b"\r\n", b""), found


@test
def malformed_edits_fail_the_filter():
    """Nothing of it is applied; the message is put off."""
    nul = b"X-A\0b\0c\0"
    bad = [Say(packet("h", b"")), Say(packet("h", b"X-A\0")),
           Say(packet("h", b"X-A\0no nul")), Say(packet("h", nul)),
           add_header("", "x"), add_header("X A", "x"),
           add_header("X:A", "x"), add_header("X\nA", "x"),
           add_header("X\xe9", "x"), Say(packet("i", b"\0\0")),
           Say(packet("m", b"\0\0\0\1X-A")), Say(packet("+", b"")),
           Say(packet("+", b"<a@b.example>")),
           add_rcpt("<a@b.example>\r\nRCPT TO:<c@d.example>"),
           add_rcpt("<not an address>"), change_from("<a@b.example> x=\r\n"),
           change_from("<a@b@c>"), Say(packet("q", b"")),
           Say(packet("q", b"no nul")),
           Say(*[packet("h", b"X-A\0" + b"x" * 65000 + b"\0")] * 20),
           Say(*[packet("h", b"X-A\0x\0")] * 1100)]
    f = Filter()
    with Filtered({"f": (f, "failures 1000")}) as gw:
        for n, what in enumerate(bad):
            f.script = {"eom": add_header("X-Before", "1") + what + CONTINUE}
            got = gw.one(f"bad{n}")
            equal(got[0], 451, f"{n}: {what.data[:60]!r}: {got}")
        f.script = {}
        taken(gw.one("good"))
        gw.wait_empty()
        equal([token_of(m.data) for m in gw.mx.mails()], ["good"], "mails")


@test
def edits_it_had_no_leave_for():
    """What was not negotiated is a fault, each of them."""
    for bit, edit in ((ADDHDRS, add_header("X", "1")),
                      (ADDHDRS, insert_header(0, "X", "1")),
                      (CHGBODY, replace_body(b"x\r\n")),
                      (ADDRCPT, add_rcpt("<z@example.net>")),
                      (DELRCPT, delete_rcpt("<x@example.net>")),
                      (CHGHDRS, change_header(1, "Subject", "x")),
                      (QUARANTINES, quarantine("why")),
                      (CHGFROM, change_from("<n@b.example>")),
                      (ADDRCPT_PAR, add_rcpt("<z@example.net>", "A=B"))):
        f = Filter({"eom": edit + CONTINUE}, actions=ALL_ACTIONS & ~bit)
        with Filtered({"f": f}) as gw:
            equal(gw.one()[0], 451, f"{edit.data!r}")
            equal(gw.mx.mails(), [], "mails")


@editing
def a_thousand_edits(e):
    """A list of fields as the model."""
    seed = int.from_bytes(os.urandom(4), "big")
    rng = random.Random(seed)
    model = [b"X-%d: %d" % (n % 7, n) for n in range(200)]
    data = b"\r\n".join(model) + b"\r\n\r\nbody\r\n"
    model = [None] + model
    edits = NOTHING
    for n in range(900):
        name, index = b"X-%d" % rng.randrange(8), rng.randrange(1, 30)
        value = b"v%d" % n
        places = [k for k, x in enumerate(model)
                  if x and x.startswith(name + b":")]
        kind = rng.randrange(4)
        if kind == 0:
            at = rng.randrange(len(model) + 3)
            edits = edits + insert_header(at, name, value)
            model.insert(at, name + b": " + value)
        elif kind == 1:
            edits = edits + add_header(name, value)
            model.append(name + b": " + value)
        elif kind == 2:
            edits = edits + change_header(index, name, value)
            if index <= len(places):
                model[places[index - 1]] = name + b": " + value
            else:
                model.append(name + b": " + value)
        else:
            edits = edits + delete_header(index, name)
            if index <= len(places):
                del model[places[index - 1]]
    equal(e.fields(edits, data), model, f"seed {seed}")


main()
