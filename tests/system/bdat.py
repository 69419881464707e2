#!/usr/bin/python3
"""CHUNKING: what comes in chunks goes on octet for octet, however it was
cut, and no octet of content is ever a command."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403


def begin(c, n=1):
    c.want("MAIL FROM:<a@client.example>", 250)
    for i in range(n):
        c.want(f"RCPT TO:<x{i}@example.net>", 250)


def chunk(data, last=False):
    return b"BDAT %d%s\r\n" % (len(data), b" LAST" if last else b"") + data


def chunks(data, n):
    """All of it, in chunks of n octets."""
    pieces = [data[i:i + n] for i in range(0, len(data), n)] or [b""]
    return b"".join(chunk(p, i == len(pieces)) for i, p in
                    enumerate(pieces, 1)), len(pieces)


def content(mail):
    """What the client sent, of what arrived."""
    return mail.data.split(b"+0000\r\n", 1)[1]


@test
def any_cut_gives_the_same_mail():
    with Secured() as gw:
        text = letter("cut", 3000) + b".\r\n..\r\nMAIL FROM:<e@f.example>\r\n"
        for secure in (False, True):
            with (gw.tls() if secure else gw.plain()) as c:
                for n in (1, 2, 3, 7, 64, 1000, len(text)):
                    begin(c)
                    bytes_, count = chunks(text, n)
                    c.send(bytes_)
                    for _ in range(count - 1):
                        equal(c.reply()[0], 250, f"a chunk of {n}")
                    queued_id(c.reply())
        gw.wait_empty()
        mails = gw.mx.mails()
        equal(len(mails), 14)
        for m in mails:
            assert content(m) == text, f"changed: {content(m)[:200]!r}"
        assert any(b"ESMTPS" in m.data for m in mails)


@test
def a_large_mail_in_large_chunks():
    with Secured("limit message-size 50M\n") as gw, gw.tls() as c:
        text = letter("large", 20 << 20)
        begin(c)
        bytes_, count = chunks(text, 1 << 20)
        c.send(bytes_)
        for _ in range(count - 1):
            equal(c.reply()[0], 250)
        queued_id(c.reply())
        gw.wait_empty()
        equal(len(content(gw.delivered())), len(text))
        assert content(gw.delivered()) == text


@test
def all_in_one_segment():
    with Secured() as gw, gw.plain() as c:
        text = letter("one")
        c.send(b"MAIL FROM:<a@client.example>\r\nRCPT TO:<x@example.net>\r\n" +
               chunk(text[:10]) + chunk(text[10:], True) +
               b"MAIL FROM:<a@client.example>\r\n"
               b"RCPT TO:<x@elsewhere.example>\r\n" +
               chunk(b"QUIT\r\n") + chunk(b"RSET\r\n", True) + b"NOOP\r\n"
               b"QUIT\r\n")
        want = [250, 250, 250, 250, 250, 550, 503, 503, 250, 221]
        equal([c.reply()[0] for _ in want], want)
        c.ended()
        gw.wait_empty()
        equal(len(gw.mx.mails()), 1)


@test
def too_much_is_swallowed_or_ends_it():
    with Secured("limit message-size 64K\n") as gw:
        with gw.plain() as c:
            begin(c)
            c.send(chunk(b"x" * 70000))
            equal(c.reply()[0], 552)
            c.send(chunk(b"x" * 10, True))
            equal(c.reply()[0], 503)
            c.want("RCPT TO:<x@example.net>", 503)
            begin(c)
            c.send(chunk(letter("small"), True))
            queued_id(c.reply())
        with gw.plain() as c:
            begin(c)
            equal(c.cmd("BDAT 140000")[0], 552)
            c.ended()
        with gw.plain() as c:
            begin(c)
            for _ in range(2):
                c.send(chunk(b"x" * 60000))
            equal([c.reply()[0] for _ in range(2)], [250, 552])
        gw.wait_empty()
        equal(len(gw.mx.mails()), 1)


@test
def lost_at_any_octet_nothing_remains():
    with Secured() as gw:
        whole = b"MAIL FROM:<a@client.example>\r\nRCPT TO:<x@example.net>" \
            b"\r\n" + chunk(b"a: b\r\n") + chunk(b"\r\nx\r\n", True)
        for n in range(len(whole) - 20, len(whole)):
            with gw.plain() as c:
                c.send(whole[:n])
        with gw.plain() as c:
            c.send(whole)
            equal([c.reply()[0] for _ in range(4)], [250] * 4)
        gw.wait_stat("smtpd.sessions", 0)
        gw.wait_empty()
        equal(len(gw.mx.mails()), 1)


@test
def counted_and_told():
    with Secured() as gw, gw.plain() as c:
        begin(c)
        c.send(chunk(letter("n"), True))
        mid = queued_id(c.reply())
        gw.wait_log(rf"accepted .*msg={mid}|msg={mid} .*accepted")
        gw.wait_stat("smtpd.bdat", 1)
        gw.wait_empty()
        assert b"Received: from client.example " in gw.delivered().data


main()
