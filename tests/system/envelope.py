#!/usr/bin/python3
"""Addresses: what is taken, what is not, and what the next hop then sees."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

CONF = '''
action out relay to "$hop"
match for rcpt { "postmaster@" } action out
match for domain { "example.net", "xn--bcher-kva.example" } action out
limit errors 10000
limit soft-errors 10000
limit rate-per-source 100000/1m
'''
L64 = "l" * 64
LABEL63 = "d" * 63
# RCPT argument, code, what the next hop gets (None: as it was given)
RCPTS = (
    ("<postmaster>", 250, r"postmaster(@test\.example)?"),
    ("<PostMaster>", 250, r"(?i:postmaster(@test\.example)?)"),
    ("<>", 501, None), ("<a@>", 501, None), ("<@b>", 501, None),
    ("<@>", 501, None), ("<a b@example.net>", 501, None),
    ("<a@b@example.net>", 501, None), ('<"a@example.net>', 501, None),
    ("<;touch x;@>", 501, None), ("<a@example.net", 501, None),
    ('<"a b"@example.net>', 250, None),
    ('<"a\\"b"@example.net>', 250, None),
    ('<"abc"@example.net>', 250, "abc@example.net"),
    ('<""@example.net>', 250, None),
    (f"<{L64}@example.net>", 250, None),
    (f"<{L64}l@example.net>", 501, None),
    (f"<a@{LABEL63}.example>", 550, None),
    (f"<a@{LABEL63}d.example>", 501, None),
    ("<@a.example,@b.example:u@example.net>", 250, "u@example.net"),
    ("<@example.net:user@foreign.example>", 550, None),
    ("<user%foreign.example@example.net>", 250, None),
    ('<"user@foreign.example"@example.net>', 250, None),
    ("<bang!path@example.net>", 250, None),
    ("<user@foreign.example>", 550, None),
    ("<user%example.net@foreign.example>", 550, None),
    ("<a@[127.0.0.1]>", 550, None), ("<a@[IPv6:::1]>", 550, None),
    ("<a@[300.1.1.1]>", 501, None), ("<a@[IPv6:gg]>", 501, None),
    ("<a@example.net.>", 501, None), ("<a@-example.net>", 501, None),
    ("<a@example..net>", 501, None),
    ("<a@EXAMPLE.net>", 250, "a@(?i:example.net)"),
    ("<a@xn--bcher-kva.example>", 250, None),
    ("<${run{x}}@example.net>", 250, None),
    ("<%s%n%x@example.net>", 250, None),
    ("<$(x)@example.net>", 501, None),
    ("<`x`@example.net>", 250, None),
    ("<../../etc/passwd@example.net>", 501, None),
    ("<a/../b@example.net>", 501, None),
    ("<.a@example.net>", 501, None), ("<a.@example.net>", 501, None),
    ("<a@example.net> extra", 501, None),
    ("a@example.net", 250, "a@example.net"),
    ("<a+tag@example.net>", 250, None), ("<a=b@example.net>", 250, None),
)


@test
def recipients():
    mx = MX()
    with Gateway(CONF, {"hop": mx.hop}) as gw:
        c = gw.client(helo="client.example")
        sent = 0
        for path, code, want in RCPTS:
            c.want("MAIL FROM:<s@client.example>", 250)
            got = c.cmd(f"RCPT TO:{path}")
            if code == 501:
                assert got[0] in (501, 553), f"{path}: {got}"
            else:
                equal(got[0], code, f"{path}: {got}")
            if code == 550:
                match(got[1], r"^5\.7\.1 ", path)
            if code != 250:
                c.want("RSET", 250)
                continue
            c.want("DATA", 354)
            c.send(letter("e") + b".\r\n")
            queued_id(c.reply())
            sent += 1
            mail = mx.wait(sent)[-1]
            if want is None:
                want = re.escape(path[1:-1])
            match(mail.rcpts[0], "^" + want + "$", path)
    mx.close()


@test
def senders():
    mx = MX()
    cases = (("<>", 250), ("<a@b.example>", 250), ("<a@[127.0.0.1]>", 250),
             ('<"a b"@c.example>', 250), ("<a@>", 501), ("<@b>", 501),
             ("<a>", 250), ("<a b@c.example>", 501), ("<a@b@c>", 501),
             ("a@b.example", 250), ("<@x.example:a@b.example>", 250))
    with Gateway(CONF, {"hop": mx.hop}) as gw:
        c = gw.client(helo="client.example")
        for path, code in cases:
            got = c.cmd(f"MAIL FROM:{path}")
            if path == "<a>":
                assert got[0] in (250, 501, 553), got  # domain completes it
            elif code == 501:
                assert got[0] in (501, 553), f"{path}: {got}"
            else:
                equal(got[0], code, f"{path}: {got}")
            c.want("RSET", 250)
    mx.close()


@test
def eight_bit_and_utf8():
    mx = MX()
    with Gateway(CONF, {"hop": mx.hop}) as gw:
        c = gw.client(helo="client.example")
        # Without SMTPUTF8 only ASCII; RFC 6531.
        got = c.cmd("MAIL FROM:<gr\u00fc\u00dfe@b.example>\r\n".encode())
        assert got[0] in (501, 553), got
        c.want("MAIL FROM:<a@b.example>", 250)
        got = c.cmd("RCPT TO:<b\u00fccher@example.net>\r\n".encode())
        assert got[0] in (501, 553), got
        got = c.cmd(b"RCPT TO:<b\xfccher@example.net>\r\n")
        assert got[0] in (501, 553), got
        c.want("RSET", 250)
        c.want("MAIL FROM:<gr\u00fc\u00dfe@b.example> SMTPUTF8 BODY=8BITMIME\r\n"
               .encode(), 250)
        got = c.cmd(b"RCPT TO:<b\xfccher@example.net>\r\n")
        assert got[0] in (501, 553), got  # not UTF-8
        c.want("RCPT TO:<b\u00fccher@example.net>\r\n".encode(), 250)
        c.want("DATA", 354)
        c.send("X-Token: u\r\nSubject: \u00e4\r\n\r\n\u00e4\r\n.\r\n".encode())
        queued_id(c.reply())
        mail = mx.wait()[0]
        equal(mail.sender, "gr\u00fc\u00dfe@b.example", "sender")
        equal(mail.rcpts, ["b\u00fccher@example.net"], "recipient")
        match([t for v, t in mx.commands if v == "mail"][0], "SMTPUTF8",
              "MAIL")
        assert mail.data.endswith("\u00e4\r\n".encode())
    mx.close()


@test
def control_characters():
    with Gateway(CONF, {"hop": "smtp://127.0.0.1:1"}) as gw:
        for bad in (b"RCPT TO:<a\x01b@example.net>\r\n",
                    b'RCPT TO:<"a\x07b"@example.net>\r\n',
                    b"RCPT TO:<a@example.net\x1b>\r\n",
                    b"RCPT TO:<a\x7f@example.net>\r\n"):
            c = gw.client(helo="client.example")
            c.want("MAIL FROM:<a@b.example>", 250)
            got = c.cmd(bad)
            assert got[0] in (500, 501, 553), f"{bad!r}: {got}"


@test
def helo_names():
    mx = MX()
    with Gateway(CONF, {"hop": mx.hop}) as gw:
        for name, code in (("client.example", 250), ("[127.0.0.1]", 250),
                           ("[IPv6:2001:db8::1]", 250), ("localhost", 250),
                           ("under_score.example", 250), ("", 501),
                           ("a$b", 501), ("x" * 256, 501),
                           ("gr\u00fc\u00dfe", 501), ("-", 501)):
            c = gw.client()
            got = c.cmd(f"EHLO {name}\r\n".encode())
            if name in ("-", "a$b", "under_score.example"):
                assert got[0] in (250, 501), f"{name}: {got}"
            else:
                equal(got[0], code, f"EHLO {name}")
            c.close()
    mx.close()


@test
def headers_come_through_untouched():
    mx = MX()
    odd = (
        b"no header at all\r\n", b"\r\nblank first\r\n",
        b"From x Mon Jan 1\r\nSubject: mbox\r\n\r\nx\r\n",
        b"Subject: only a header\r\n", b": empty name\r\n\r\nx\r\n",
        b" leading blank\r\nSubject: y\r\n\r\nx\r\n",
        b"Subject : space\r\n\r\nx\r\n",
        b"Subject: a\r\n \r\n\tb\r\n\r\nx\r\n",
        b"S\xfcbject: x\r\n\r\n\xff\xfe\r\n",
        b"__proto__: x\r\n\r\n__proto__\r\n",
        b"From: a\r\nFrom: b\r\nSender: c\r\nDate: d\r\nDate: e\r\n\r\nx\r\n")
    with Gateway(CONF, {"hop": mx.hop}) as gw:
        c = gw.client(helo="client.example")
        for n, data in enumerate(odd):
            queued_id(c.mail("a@b.example", "x@example.net", data))
            got = mx.wait(n + 1)[-1].data
            assert got.endswith(data), f"{data!r} became {got!r}"
            match(got[:-len(data)].decode(), r"^Received: [^\n]*\r\n"
                  r"(?:[ \t][^\n]*\r\n)*$", "what we add")
    mx.close()


main()
