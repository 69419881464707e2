#!/usr/bin/python3
"""rspamd: spam is refused, ham gets its fields."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

from filtered import *  # noqa: E402,F401,F403
from realmilters import *  # noqa: E402,F401,F403

DATE = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())


def spam(kind):
    return mail(GTUBE[kind] if kind else "Hello, how are you?")


def mail(text):
    return (f"From: Alice <alice@example.org>\r\nTo: <x@example.net>\r\n"
            f"Subject: probe\r\nDate: {DATE}\r\nMessage-ID: <r1@example.org>"
            f"\r\n\r\n{text}\r\n").encode()


@test
def each_of_its_actions():
    with Rspamd() as rspamd, Filtered({"rspamd": rspamd}) as gw:
        got = gw.one(data=spam(None))
        mid = taken(got)
        _, _, found, body = gw.delivered()
        for name in ("X-Spamd-Result", "X-Rspamd-Action",
                     "X-Rspamd-Queue-Id"):
            assert name in names(found), (name, found)
        # Its result lies directly below our Received (index 1).
        equal(names(found)[:2], ["Received", "Authentication-Results"], "top")
        # The id that rspamd knew is ours: it was there at MAIL.
        assert f"X-Rspamd-Queue-Id: {mid}".encode() in found, found
        equal(body, b"Hello, how are you?\r\n", "body")

        refused(gw.one(data=spam("reject")), 554, "Gtube")
        taken(gw.one(data=spam("add header")))
        found = gw.delivered(2)[2]
        assert b"X-Spam: Yes" in found, found
        taken(gw.one(data=spam("rewrite")))
        found = gw.delivered(3)[2]
        subject = [f for f in found if f.startswith(b"Subject:")]
        equal(len(subject), 1, "subjects")
        match(subject[0], "SPAM", "rewritten")

        # Several in a session, a large one, none at all.
        with gw.client(helo="client.example") as c:
            for n in range(3):
                refused(c.mail("a@example.org", "x@example.net",
                               spam("reject")), 554)
                taken(c.mail("a@example.org", "x@example.net", spam(None)))
            taken(c.mail("a@example.org", "x@example.net",
                         mail("0123456789" * 7) +
                         (b"0123456789" * 7 + b"\r\n") * 20000))
            c.mail("a@example.org", "x@example.net", b"")
        m = gw.of_filter("rspamd")
        equal((m["failures"], m["verdicts"]["reject"]), (0, 4), f"{m}")


@test
def many_fields_and_a_large_body():
    """It replies to nothing before the end: all of it is one stream."""
    with Rspamd() as rspamd, Filtered({"rspamd": rspamd}) as gw:
        data = mail("x" * 60) + (b"y" * 70 + b"\r\n") * 60000
        data = data.replace(b"\r\n\r\n", b"\r\n" + b"".join(
            b"X-%d: %d\r\n" % (n, n) for n in range(500)) + b"\r\n", 1)
        taken(gw.one(data=data))
        _, _, found, body = gw.delivered()
        equal(body, split(data)[1], "body")
        for n in range(500):
            assert b"X-%d: %d" % (n, n) in found, n


main()
