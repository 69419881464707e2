#!/usr/bin/python3
"""The commands: syntax, order, replies in order; what they must not do."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

CONF = '''
action drop discard
table users { "c3po@test.example", "r2d2@test.example" }
match for rcpt users action drop
match for domain { "test.example" } reject "550 5.1.1 no such user here"
match for domain { "example.net" } action drop
'''


def gateway():
    return Gateway(CONF)


@test
def order():
    with gateway() as gw:
        c = gw.client()
        c.want("MAIL FROM:<a@b.example>", 503)
        c.want("EHLO client.example", 250)
        c.want("RCPT TO:<x@example.net>", 503)
        c.want("DATA", 503)
        c.want("MAIL FROM:<a@b.example>", 250)
        c.want("DATA", 503)
        c.want("MAIL FROM:<a@b.example>", 503)
        c.want("RCPT TO:<x@example.net>", 250)
        c.want("MAIL FROM:<a@b.example>", 503)
        c.want("EHLO client.example", 250)  # resets
        c.want("RCPT TO:<x@example.net>", 503)
        c.want("MAIL FROM:<a@b.example>", 250)
        c.want("RCPT TO:<x@example.net>", 250)
        c.want("RSET", 250)
        c.want("DATA", 503)
        c.want("QUIT", 221)
        c.ended()


@test
def a_transaction_ends_with_its_reply():
    with gateway() as gw:
        c = gw.client(helo="client.example")
        queued_id(c.mail("a@b.example", "x@example.net", letter("t")))
        c.want("RCPT TO:<x@example.net>", 503)
        c.want("DATA", 503)
        # and so does one that was refused at the dot
        c.want("MAIL FROM:<a@b.example>", 250)
        c.want("RCPT TO:<x@example.net>", 250)
        c.want("DATA", 354)
        hops = b"Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n"
        c.send(hops * 60 + b"\r\nx\r\n.\r\n")
        equal(c.reply()[0], 554, "too many hops")
        c.want("RCPT TO:<x@example.net>", 503)
        c.want("DATA", 503)
        queued_id(c.mail("a@b.example", "x@example.net", letter("u")))


@test
def verbs_without_effect():
    with gateway() as gw:
        c = gw.client(helo="client.example")
        c.want("MAIL FROM:<a@b.example>", 250)
        for line, code in (("NOOP", 250), ("NOOP with words", 250),
                           ("HELP", 214), ("VRFY c3po@test.example", 250),
                           ("EXPN list", 502), ("ETRN x", 502),
                           ("TURN", 502), ("SEND FROM:<a@b>", 502)):
            c.want(line, code)
        c.want("RCPT TO:<x@example.net>", 250)
        c.want("VRFY nobody@test.example", 550)
        c.want("DATA", 354)
        c.send(letter("v") + b".\r\n")
        queued_id(c.reply())


@test
def vrfy_answers_from_the_rules():
    with gateway() as gw:
        c = gw.client(helo="client.example")
        for arg in ("c3po@test.example", "<c3po@test.example>", "c3po"):
            got = c.cmd(f"VRFY {arg}")
            equal(got[0], 250, arg)
            match(got[1], r"^2\.1\.5 .*<c3po@test\.example>", arg)
        match(c.cmd("VRFY luke@test.example"), r"^\(550, '5\.1\.1", "unknown")
        match(c.cmd("VRFY x@example.net"), r"^\(252, '2\.1\.5", "by domain")
        equal(c.cmd("VRFY")[0] in (500, 501), True, "no argument")


@test
def vrfy_knows_the_postmaster():
    """What RCPT takes VRFY does not deny; nor does it say who reads it."""
    with Gateway(CONF + 'postmaster "c3po@test.example"\n') as gw:
        c = gw.client(helo="client.example")
        for arg in ("postmaster", "<PostMaster@test.example>"):
            got = c.cmd(f"VRFY {arg}")
            match(got, r"^\(252, '2\.1\.5", arg)
            assert "c3po" not in got[1], got
        match(c.cmd("VRFY postmaster@foreign.example"), r"^\(550", "foreign")


@test
def enhanced_codes_always():
    with gateway() as gw:
        c = gw.client(helo="client.example")
        for line in ("NOOP", "RSET", "MAIL FROM:<a@b.example>",
                     "RCPT TO:<x@example.net>", "RCPT TO:<x@no.example>",
                     "RCPT TO:<", "BANANA", "VRFY c3po", "EXPN x",
                     "MAIL FROM:<a@b.example>", "QUIT"):
            code, text = c.cmd(line)
            match(text.split("\n")[-1], rf"^{code // 100}\.\d\.\d+ ",
                  f"{line}: {code}")


@test
def syntax():
    with gateway() as gw:
        cases = (
            ("ehlo client.example", 250), ("eHlO client.example", 250),
            ("EHLO", 501), ("HELO", 501), ("HELO a b", 501),
            ("EHLO " + "x" * 1000, 501), ("EHLO [127.0.0.1]", 250),
            ("EHLO [IPv6:::1]", 250), ("EHLO [300.1.1.1]", 501),
            ("HELO client.example", 250), ("", 500), ("BANANA", 500),
            ("XCLIENT ADDR=1.2.3.4", 5), ("AUTH PLAIN", 5),
            ("STARTTLS", 5), ("BDAT 0", 5),
            ("MAIL FROM <a@b.example>", 501), ("MAIL", 501),
            ("MAIL FROM:", 501), ("MAIL FROM:<a@b.example> FOO=1", 555),
            ("MAIL FROM:<a@b.example> SIZE=abc", 501),
            ("MAIL FROM:<a@b.example> SIZE=-1", 501),
            ("MAIL FROM:<a@b.example> SIZE=1 SIZE=1", 501),
            ("MAIL FROM:<a@b.example> BODY=BINARYMIME", 5),
            ("MAIL FROM:<a@b.example> SMTPUTF8=x", 501),
            ("MAIL FROM: <a@b.example>", 250), ("RSET", 250),
            ("MAIL FROM:a@b.example", 250), ("RSET", 250),
            ("mail from:<a@b.example> size=100 body=8bitmime smtputf8", 250),
            ("RCPT TO:<x@example.net> NOTIFY=SOMETIMES", 5),
            ("RCPT TO:<>", 501), ("RCPT TO:x@example.net", 250),
            ("rcpt to:<Y@EXAMPLE.NET>", 250), ("RSET junk", 501),
            ("QUIT now", 501), ("QUIT", 221))
        c = gw.client()
        errors = 0
        for line, want in cases:
            if errors >= 8:  # stay below the limits of a session
                c.close()
                c, errors = gw.client(), 0
                c.want("EHLO client.example", 250)
                if line.startswith(("RCPT", "rcpt")):
                    c.want("MAIL FROM:<a@b.example>", 250)
            code = c.cmd(line)[0]
            errors += code >= 400
            if want < 10:
                equal(code // 100, want, line)
            else:
                equal(code, want, line)
            if want != 250 and line.startswith(("mail", "MAIL")):
                c.want("RCPT TO:<x@example.net>", 503)
                errors += 1


@test
def pipelined_replies_come_in_order():
    with gateway() as gw:
        c = gw.client(helo="client.example")
        c.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<x@no.example>\r\n"
               "RCPT TO:<x@example.net>\r\nNOOP\r\nVRFY luke@test.example\r\n"
               "RCPT TO:<c3po@test.example>\r\nDATA\r\n")
        equal([c.reply()[0] for _ in range(7)],
              [250, 550, 250, 250, 550, 250, 354], "replies")
        c.send(letter("p") + b".\r\nRSET\r\nMAIL FROM:<>\r\n"
               b"RCPT TO:<x@example.net>\r\nDATA\r\n")
        equal([c.reply()[0] for _ in range(5)], [250, 250, 250, 250, 354],
              "behind the dot")
        c.send(b"Subject: q\r\n\r\n.\r\nQUIT\r\n")
        equal([c.reply()[0] for _ in range(2)], [250, 221], "the end")
        c.ended()


@test
def a_refused_transaction_pipelined():
    """Behind a DATA that was refused, content must not be commands."""
    with gateway() as gw:
        c = gw.client(helo="client.example")
        c.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<x@no.example>\r\nDATA\r\n")
        equal([c.reply()[0] for _ in range(3)], [250, 550, 503], "refused")


@test
def every_split_gives_the_same():
    whole = b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\n"             b"RCPT TO:<x@example.net>\r\nDATA\r\nSubject: s\r\n\r\n"             b"..dot\r\n.\r\nQUIT\r\n"
    with gateway() as gw:
        for step in (1, 2, 3, 7, len(whole)):
            c = gw.client()
            for i in range(0, len(whole), step):
                c.send(whole[i:i + step])
            equal([c.reply()[0] for _ in range(6)],
                  [250, 250, 250, 354, 250, 221], f"pieces of {step}")
            c.ended()


@test
def a_flood_of_pipelined_commands_is_answered():
    """More replies than we keep: reading waits, and goes on."""
    count = 20000
    with Gateway(CONF + "limit junk-commands 1000000\n") as gw:
        c = gw.client(helo="client.example")
        sender = threading.Thread(target=c.send, args=("HELP\r\n" * count,),
                                  daemon=True)
        sender.start()
        for n in range(count):
            equal(c.reply()[0], 214, f"reply {n}")
        sender.join(DEADLINE)
        c.want("NOOP", 250)


@test
def command_lines_end_with_crlf_only():
    with gateway() as gw:
        for bad in (b"NOOP\n", b"NO\rOP\r\n", b"NOOP\n\r\n", b"NOOP\r\r\n",
                    b"NO\0OP\r\n"):
            c = gw.client(helo="client.example")
            got = c.cmd(bad)
            equal(got[0], 500, f"{bad!r}: {got}")
            if b"\0" not in bad:
                match(got[1], r"^5\.5\.2", f"{bad!r}")
                c.ended()


@test
def other_protocols_are_shown_the_door():
    with gateway() as gw:
        for line in ("GET / HTTP/1.1", "POST /x HTTP/1.0",
                     "CONNECT a.example:25 HTTP/1.1"):
            c = gw.client()
            code = c.cmd(line)[0]
            assert code in (221, 421, 500, 502, 521, 554), f"{line}: {code}"
            c.ended()


@test
def half_closed_clients_get_their_replies():
    import socket as so
    with gateway() as gw:
        c = gw.client()
        c.send("EHLO client.example\r\nMAIL FROM:<a@b.example>\r\n"
               "RCPT TO:<x@example.net>\r\nDATA\r\n")
        for want in (250, 250, 250, 354):
            equal(c.reply()[0], want, "reply")
        c.send(letter("h") + b".\r\n")
        c.sock.shutdown(so.SHUT_WR)
        queued_id(c.reply())
        c.ended()


main()
