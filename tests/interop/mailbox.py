#!/usr/bin/python3
"""Debian's Dovecot as the mailbox: LMTP over TCP and its Unix socket, and the
whole journey: a user agent submits with TLS and AUTH, MTA to MTA by MX, MX to
MDA by LMTP, and the mail is read by IMAP."""
import os
import re
import smtplib
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from outward import *  # noqa: E402,F401,F403
from realclients import swaks  # noqa: E402
from realhops import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403

RULES = 'match for domain { "example.net" } action box\nqueue retry 1h\n'


class Boxes(Gateway):
    """way: the words of the action; $socket and $where are Dovecot's."""

    def __init__(self, mda, way, conf="", **kw):
        super().__init__(f"action box {way}\n{RULES}{conf}",
                         {"socket": mda.socket,
                          "where": f"{mda.lmtp}@{mda.address}",
                          "lmtp": f"lmtp://{mda.address}:{mda.lmtp}"}, **kw)

    def send(self, *rcpts, data=None, params=""):
        with self.client(helo="client.example") as c:
            return queued_id(c.mail("a@b.example", rcpts,
                                    data or letter("t"), params))


def mda_here():
    return Dovecot(ca().cert("mda.example"))


@test
def by_port_and_by_socket():
    with mda_here() as mda:
        n = 0
        for way in ('lmtp "inet:$where"', 'lmtp "$lmtp"',
                    'lmtp "unix:$socket"',
                    'relay to "lmtp+unix://$socket"'):
            n += 1
            with Boxes(mda, way) as gw:
                mid = gw.send("c3po@example.net", data=letter(f"t{n}", 50000))
                equal(gw.fate(mid)[0], "delivered", way)
                mail = mda.wait("c3po", n)[n - 1]
                equal(token_of(mail), f"t{n}", way)
                equal(body_of(mail), body_of(letter(f"t{n}", 50000)), way)
                match(mail, rb"^Return-Path: <a@b\.example>", "its sender")
                match(mail, rb"Delivered-To: c3po@example\.net", "its rcpt")


@test
def a_reply_for_each():
    """One is known, one is not, one has a detail."""
    with mda_here() as mda, Boxes(mda, 'lmtp "unix:$socket"') as gw:
        mid = gw.send("c3po@example.net", "nobody@example.net",
                      "r2d2+droids@example.net")
        equal(gw.fate(mid, "c3po@example.net")[0], "delivered", "c3po")
        equal(gw.fate(mid, "r2d2+droids@example.net")[0], "delivered", "r2d2")
        event, line = gw.fate(mid, "nobody@example.net")
        equal(event, "bounced", line)
        match(line, r"5\.1\.1.*User doesn't exist", "Dovecot's words")
        for user in ("c3po", "r2d2"):
            equal(token_of(mda.wait(user)[0]), "t", user)


@test
def many_on_one_connection():
    with mda_here() as mda, Boxes(mda, 'lmtp "unix:$socket"',
                                  "workers delivery 1\n") as gw:
        for n in range(50):
            gw.send("c3po@example.net", "r2d2@example.net",
                    data=letter(f"m{n}"))
        gw.wait_empty()
        for user in ("c3po", "r2d2"):
            equal({token_of(m) for m in mda.wait(user, 50)},
                  {f"m{n}" for n in range(50)}, user)
        assert gw.stats()["delivery.connections"] <= 25, "reuse"


@test
def while_it_is_away():
    """Nothing is lost when the mailbox is down for a while."""
    with mda_here() as mda, Boxes(mda, 'lmtp "inet:$where"') as gw:
        mda.end(mda.procs.pop())
        mid = gw.send("c3po@example.net")
        equal(gw.fate(mid)[0], "deferred", "away")
        mda.restart()
        gw.ctl("flush", "all", check=0)
        equal(gw.fate(mid, event="delivered")[0], "delivered", "back")
        mda.wait("c3po")


@test
def odd_mails():
    """As they are, to the byte."""
    bodies = [b"", b".\r\n", b"..\r\n.x\r\n", b"x" * 990 + b"\r\n",
              "\u00e4\u00f6\u00fc\r\n".encode() * 1000, b"\r\n" * 100]
    with mda_here() as mda, Boxes(mda, 'lmtp "unix:$socket"') as gw:
        for n, body in enumerate(bodies, 1):
            data = b"X-Token: o\r\n\r\n" + body
            gw.send("luke@example.net", data=data, params=" BODY=8BITMIME")
            equal(body_of(mda.wait("luke", n)[n - 1]), body, f"{n}")


# --- the journey ---

SENDER = '''
action out relay port $port tls require
match tag submission !auth from any for any reject "530 5.7.0 log in first"
match from auth for any action out
'''
RECEIVER = '''
action box lmtp "unix:$socket"
match for domain { "receiver.com" } action box
'''


class Journey:
    """luke@sender.com, his server, the one of receiver.com, its mailboxes."""

    def __init__(self):
        self.mda = mda_here()
        self.receiver = Secured(
            RECEIVER, listeners={"mx": "$pkis"}, relay=False,
            pkis={"mx": ca().cert("mx.receiver.com")},
            values={"socket": self.mda.socket}, hostname="mx.receiver.com")
        self.dns = DNS({"receiver.com": {"MX": "10 mx.receiver.com"},
                        "mx.receiver.com": {"A": self.receiver.address}})
        self.sender = Secured(
            self.dns.conf("timeout 5s") + f'ca "{ca().root}"\n' + SENDER,
            relay=False, pkis={"mx": ca().cert("mail.sender.com")},
            values={"port": self.receiver.ports["mx"]},
            hostname="mail.sender.com")

    def __enter__(self):
        self.receiver.start()
        self.sender.start()
        return self

    def __exit__(self, kind, value, tb):
        if kind is not None:
            self.mda.show()
        for gw in (self.sender, self.receiver):
            gw.__exit__(kind, value, tb)
        self.mda.close()
        self.dns.close()

    def arrived(self, user, token, count=1):
        """Read by IMAP; what its Received fields say, the last one first."""
        mail = self.mda.wait(user, count)[count - 1]
        equal(token_of(mail), token, "the mail")
        head = mail.split(b"\r\n\r\n", 1)[0].decode()
        fields = re.findall(r"(?m)^Received:((?:.*\r\n[ \t])*.*)", head)
        equal(len(fields), 3, "stations")
        match(fields[0], r"by mda\.example with LMTP", "the mailbox")
        match(fields[1], r"(?s)from mail\.sender\.com .*by mx\.receiver\.com "
              r".*with ESMTPS\s", "MTA to MTA")
        match(fields[2], r"(?s)by mail\.sender\.com .*with ESMTPSA\s",
              "the submission")
        return mail


@test
def the_whole_journey():
    """By a library's client, on 587's and on 465's way."""
    with Journey() as j:
        gw = j.sender
        for n, (listener, cls) in enumerate(
                (("submission", smtplib.SMTP), ("smtps", smtplib.SMTP_SSL)),
                1):
            words = {"context": context()} if cls is smtplib.SMTP_SSL else {}
            with cls(gw.address, gw.ports[listener], **words) as s:
                if not words:
                    s.starttls(context=context())
                s.ehlo("luke.example")
                codes = [s.mail("luke@sender.com")[0],
                         s.rcpt("c3po@receiver.com")[0]]
                assert 530 in codes, codes
                s.rset()
                s.login("luke", "force")
                s.sendmail("luke@sender.com",
                           ["c3po@receiver.com", "r2d2@receiver.com"],
                           letter(f"plans{n}"))
            for user in ("c3po", "r2d2"):
                mail = j.arrived(user, f"plans{n}", n)
                equal(body_of(mail), body_of(letter(f"plans{n}")), "content")
            gw.wait_empty()
        j.receiver.wait_empty()


@test
def the_journey_by_swaks():
    with Journey() as j:
        code, out = swaks(j.sender, "submission", "--tls", "--auth", "PLAIN",
                          "--auth-user", "luke", "--auth-password", "force",
                          "--to", "r2d2@receiver.com",
                          data=letter("swaks").replace(b"\r\n", b"\n"))
        equal(code, 0, out)
        j.arrived("r2d2", "swaks")


@test
def an_unknown_recipient_is_told():
    """Dovecot says no, the receiving gateway reports, and the report goes
    all the way back."""
    with Journey() as j:
        back = MX()
        back_door(j.receiver, back)
        with j.sender.tls("submission", auth="luke") as c:
            queued_id(c.mail("luke@client.example", "nobody@receiver.com",
                             letter("n")))
            report = back.wait()[0]
            equal((report.sender, report.rcpts),
                  ("", ["luke@client.example"]), "the report")
            match(report.data, rb"(?s)Status: 5\.1\.1.*doesn't exist", "why")
        back.close()


def back_door(gw, mx):
    """Mail for client.example goes from that gateway to the MX."""
    gw.conf_text += f'action back relay to "{mx.hop}"\n' \
        'match for domain { "client.example" } action back\n'
    gw.write_conf()
    equal(gw.ctl("reload")[0], 0, "reload")


main()
