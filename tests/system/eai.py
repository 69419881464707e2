#!/usr/bin/python3
"""Addresses beyond ASCII (RFC 6531) end to end, and domains in both their
forms (IDNA2008)."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from dsn import *  # noqa: E402,F401,F403
from postern import *  # noqa: E402,F401,F403

PLAIN = ("PIPELINING", "8BITMIME", "SIZE 52428800", "DSN")
UTF8 = PLAIN + ("SMTPUTF8",)
EIGHT = " SMTPUTF8 BODY=8BITMIME"
# Quoted and in A-labels: 130 and 247 characters.
LONG = '"' + '\\"' * 64 + '"@' + ".".join(["ü"] * 31)

CONF = '''
table ours { "Bücher.example", "xn--strae-oqa.example" }
action out relay to "$hop"
action back relay to "$back"
match for domain ours action out
match for domain { "client.example" } action back
queue retry 1s
limit error-delay 0s
deliver idle-timeout 0
'''


class Net:
    """A next hop, and the sink of those who sent."""

    def __init__(self, extensions=UTF8):
        self.mx = MX(extensions=extensions)
        self.back = MX(address=own_address(2), extensions=UTF8)
        self.gw = Gateway(CONF, {"hop": self.mx.hop, "back": self.back.hop})

    def __enter__(self):
        self.gw.start()
        return self

    def __exit__(self, kind, value, tb):
        if kind is None:
            self.gw.remove()
        self.mx.close()
        self.back.close()

    def send(self, to, mail="", params="", sender="luke@client.example",
             data=None):
        with self.gw.client(helo="client.example") as c:
            c.want(f"MAIL FROM:<{sender}>{mail}", 250)
            c.want(f"RCPT TO:<{to}>{params}", 250)
            c.want("DATA", 354)
            c.send(stuff(data or letter("t")) + b".\r\n")
            return queued_id(c.reply())

    def said(self, verb):
        return [a for v, a in self.mx.commands if v == verb]


@test
def both_forms_of_a_domain():
    """They match the same rule, and leave as A-labels."""
    for given, want in (
            ("x@Bücher.example", "x@xn--bcher-kva.example"),
            ("x@BÜCHER.Example", "x@xn--bcher-kva.example"),
            ("x@bu\u0308cher.example", "x@xn--bcher-kva.example"),
            ("x@XN--Bcher-KVA.example", "x@xn--bcher-kva.example"),
            ("x@straße.example", "x@xn--strae-oqa.example")):
        with Net() as net:
            net.send(given, " SMTPUTF8" if not given.isascii() else "",
                     sender="luke@grün.example" if not given.isascii()
                     else "luke@client.example")
            mail, = net.mx.wait(1)
            equal(mail.rcpts, [want], given)
            if not given.isascii():
                equal(mail.sender, "luke@xn--grn-ioa.example", "the sender")
            net.gw.wait_empty()


@test
def one_recipient_in_two_forms():
    with Net() as net:
        with net.gw.client(helo="client.example") as c:
            c.want("MAIL FROM:<> SMTPUTF8", 250)
            c.want("RCPT TO:<x@bücher.example>", 250)
            c.want("RCPT TO:<x@xn--bcher-kva.example>", 250)
            c.want("DATA", 354)
            c.send(letter("t") + b".\r\n")
            queued_id(c.reply())
        mail, = net.mx.wait(1)
        equal(mail.rcpts, ["x@xn--bcher-kva.example"], "recipients")


@test
def refused():
    with Net() as net, net.gw.client(helo="client.example") as c:
        for line, code, status in (
                ("MAIL FROM:<lüke@client.example>", 553, "5.6.7"),
                ("MAIL FROM:<a@bücher.example>", 553, "5.6.7"),
                ("MAIL FROM:<a@☃.example> SMTPUTF8", 501, "5.1.7"),
                ("MAIL FROM:<a@℀.example> SMTPUTF8", 501, "5.1.7"),
                ("MAIL FROM:<" + LONG + "> SMTPUTF8", 501, "5.1.7"),
                (b"MAIL FROM:<a\xff@client.example> SMTPUTF8\r\n", 501,
                 "5.1.7"),
                ("MAIL FROM:<a@client.example>", 250, "2.1.0"),
                ("RCPT TO:<x@bücher.example>", 553, "5.6.7"),
                ("RCPT TO:<bört@xn--bcher-kva.example>", 553, "5.6.7"),
                ("RSET", 250, "2.0.0"),
                ("MAIL FROM:<a@client.example> SMTPUTF8", 250, "2.1.0"),
                ("RCPT TO:<x@-ü.example>", 501, "5.1.3"),
                ("RCPT TO:<x@☃.example>", 501, "5.1.3"),
                ("RCPT TO:<x@" + "ü" * 64 + ".example>", 501, "5.1.3"),
                # Longer as A-labels than anybody takes it.
                ("RCPT TO:<" + LONG + ">", 501, "5.1.3"),
                ("RCPT TO:<x@fremd.bücher.example>", 550, "5.7.1"),
                ("VRFY x@☃.example SMTPUTF8", 501, "5.1.3"),
                ("RCPT TO:<bört@bücher.example>", 250, "2.1.5")):
            match(c.want(line, code), rf"^{re.escape(status)} ",
                  f"{line!r}")


@test
def what_needs_no_smtputf8():
    """It was announced, but nothing in the mail is beyond ASCII."""
    with Net(PLAIN) as net:
        net.send("x@bücher.example", EIGHT,
                 data="Subject: t\r\n\r\nKörper\r\n".encode())
        mail, = net.mx.wait(1)
        equal(mail.rcpts, ["x@xn--bcher-kva.example"], "recipients")
        assert "SMTPUTF8" not in net.said("mail")[0], net.said("mail")
        net.gw.wait_empty()
        equal(net.back.mails(), [], "reports")


@test
def what_needs_it():
    """To hops that offer it, and to others never (5.6.7)."""
    cases = (("bört@bücher.example", "luke@client.example", b"t"),
             ("x@bücher.example", "lüke@client.example", b"t"),
             ("x@bücher.example", "luke@client.example", "ä".encode()))
    for to, sender, subject in cases:
        data = b"Subject: " + subject + b"\r\n\r\nhello\r\n"
        with Net() as net:
            net.send(to, EIGHT, sender=sender, data=data)
            mail, = net.mx.wait(1)
            match(net.said("mail")[0], "SMTPUTF8", "MAIL")
            equal(mail.sender, sender, "sender")
            equal(mail.rcpts, [to.replace("bücher", "xn--bcher-kva")],
                  "recipient")
            assert b"Subject: " + subject in mail.data, mail.data
            match(mail.data.decode(), r"with UTF8SMTP", "Received")
        with Net(PLAIN) as net:
            net.send(to, EIGHT, sender=sender, data=data)
            back, = net.back.wait(1)
            equal(back.rcpts, [sender], "to")
            r = Report(back.data)
            f = list(r.rcpts.values())[0]
            equal((f["Action"], f["Status"]), ("failed", "5.6.7"), "why")
            equal(net.said("mail"), [], "MAIL to who cannot take it")
            is_utf8 = not (sender + to).isascii() or subject != b"t"
            match([a for v, a in net.back.commands if v == "mail"][0],
                  "SMTPUTF8" if is_utf8 else "", "the report's MAIL")


@test
def original_recipients():
    """RFC 6533: as they are in transactions with SMTPUTF8, else escaped."""
    for ext, mail, given, want in (
            (UTF8, EIGHT, "utf-8;bört@x", "utf-8;bört@x"),
            (UTF8, "", r"utf-8;b\x{F6}rt@x", r"utf-8;b\x{F6}rt@x"),
            # As Postfix has it.
            (UTF8, EIGHT, "rfc822;b+C3+B6rt@x", "utf-8;bört@x"),
            (PLAIN, EIGHT, "utf-8;bört+@x".replace("+", r"\x{2B}"),
             r"utf-8;b\x{F6}rt\x{2B}@x")):
        with Net(ext) as net:
            net.send("x@xn--bcher-kva.example", mail, f" ORCPT={given}")
            net.mx.wait(1)
            equal(net.said("rcpt")[0],
                  f"TO:<x@xn--bcher-kva.example> ORCPT={want}", "RCPT")


main()
