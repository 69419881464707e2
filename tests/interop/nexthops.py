#!/usr/bin/python3
"""Debian's Postfix, Exim and OpenSMTPD as next hops: STARTTLS that we verify,
AUTH, DSN, SMTPUTF8, BDAT. Each hands on what it took to a sink."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from outward import *  # noqa: E402,F401,F403
from realhops import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403

class To(Sending):
    """A gateway, a real next hop behind the name hub.example, and the sink
    behind that."""

    def __init__(self, make, words="tls require", kind="rsa", auth=None,
                 sink=None, **kw):
        self.sink = sink or MX(address=own_address(3), extensions=(
            "PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE 52428800"))
        cert = ca().cert("hub.example", kind=kind)
        self.real = make(self.sink, cert, **({"auth": auth} if auth else {}))
        if auth:
            words = 'auth creds label "hub"'
            kw["scheme"] = "smtp+tls"
            kw["before"] = 'table creds { "hub" = "luke:force" }\n'
        try:
            super().__init__(words, hub=self.real, **kw)
        except BaseException:
            self.real.close()
            raise

    def __exit__(self, kind, value, tb):
        if kind is not None:
            self.real.show()
        super().__exit__(kind, value, tb)
        self.sink.close()

    @staticmethod
    def url(name, hop, scheme):
        return f"{scheme or 'smtp'}://{name}:{hop.port}"


def letters():
    dots = b"X-Token: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\n"
    yield dots
    for size in (1, 16000, 70000, 3 << 20):
        yield letter(f"b{size}", size)
    yield b"X-Token: long\r\n\r\n" + b"y" * 900 + b"\r\n"


def whole(make, received, words="tls require"):
    """Everything arrives as it was, and by TLS when that was asked for."""
    with To(make, words, conf="workers delivery 1\n") as gw:
        for n, data in enumerate(letters(), 1):
            line = gw.goes("delivered", sender="a@b.example", data=data)
            mail = gw.sink.wait(n)[n - 1]
            equal(body_of(mail.data), body_of(data), f"content of {n}")
            match(mail.data, received, "Received")
        match(line, r"TLSv1\.[23]" if words else "", "the log")


def eight_bits(make, words="tls require"):
    data = "X-Token: 8\r\nSubject: \u00fc\r\n\r\nGr\u00fc\u00dfe\r\n".encode()
    with To(make, words) as gw:
        gw.goes("delivered", sender="a@b.example", data=data,
                params=" BODY=8BITMIME")
        equal(body_of(gw.sink.wait()[0].data), body_of(data), "content")


def not_verified(make):
    """A certificate for another name: not a byte of the mail."""
    class Other(To):
        @staticmethod
        def url(name, hop, scheme):
            return f"smtp://other.example:{hop.port}"
    with Other(make, records={"other.example": {"A": "127.0.0.1"}}) as gw:
        gw.dns.add({"other.example": {"A": gw.real.address}})
        gw.goes("deferred", r"4\.7\.5")
        equal(gw.sink.mails(), [], "mails")


def refusals(make, words="tls require"):
    """A recipient it does not want is bounced, the other delivered."""
    with To(make, words, conf='match for any action out\n') as gw:
        mid = gw.send("x@example.net", "y@elsewhere.example",
                      sender="a@b.example")
        equal(gw.fate(mid, "x@example.net")[0], "delivered", "ours")
        equal(gw.fate(mid, "y@elsewhere.example")[0], "bounced", "theirs")


@test
def postfix_whole():
    whole(PostfixHop, rb"with ESMTPS ")


@test
def postfix_eight_bits():
    eight_bits(PostfixHop)


@test
def postfix_is_verified():
    not_verified(PostfixHop)


@test
def postfix_dsn_and_smtputf8():
    """Both go through us and through it."""
    with To(PostfixHop) as gw, gw.tls() as c:
        c.want("MAIL FROM:<a@b.example> RET=HDRS ENVID=e123", 250)
        c.want("RCPT TO:<x@example.net> NOTIFY=SUCCESS,FAILURE "
               "ORCPT=rfc822;orig@b.example", 250)
        c.want("DATA", 354)
        c.send(letter("dsn") + b".\r\n")
        queued_id(c.reply())
        mail = gw.sink.wait()[0]
        match(mail.params, r"RET=HDRS", "MAIL")
        match(mail.params, r"ENVID=e123", "MAIL")
        match(mail.rcpt_params[0], r"NOTIFY=SUCCESS,FAILURE", "RCPT")
        match(mail.rcpt_params[0], r"ORCPT=rfc822;orig@b\.example", "RCPT")
        queued_id(c.mail("\u00e4@b.example", "\u00fc@example.net",
                         "X-Token: u\r\nSubject: \u00fc\r\n\r\nx\r\n".encode(),
                         " SMTPUTF8"))
        mail = gw.sink.wait(2)[1]
        equal((mail.sender, mail.rcpts),
              ("\u00e4@b.example", ["\u00fc@example.net"]), "addresses")


@test
def postfix_resumes_sessions():
    with To(PostfixHop, conf="deliver messages-per-connection 1\n"
            "workers delivery 1\n") as gw:
        for _ in range(3):
            gw.goes("delivered", sender="a@b.example")
        gw.sink.wait(3)
        gw.real.wait_log(r"TLS connection established from")


@test
def postfix_and_its_sasl():
    """Postfix asks Dovecot whether our password is right."""
    with Dovecot(ca().cert("mda.example")) as mda:
        def make(sink, cert, auth):
            return PostfixHop(sink, cert, auth=mda.auth)
        with To(make, auth=True) as gw:
            gw.goes("delivered", sender="a@b.example")
            match(gw.sink.wait()[0].data,
                  rb"Authenticated sender: luke.*with ESMTPSA ", "Received")
        with To(lambda sink, cert: PostfixHop(
                sink, cert, auth=mda.auth)) as gw:
            gw.goes("bounced", r"5\.7\.1", sender="")
            equal(gw.sink.mails(), [], "without AUTH")


@test
def exim_whole():
    """By BDAT: it offers CHUNKING."""
    whole(EximHop, rb"with esmtps \(TLS1\.3\)")


@test
def exim_saw_bdat():
    with To(EximHop) as gw:
        for n, size in enumerate((1, 200000), 1):
            gw.goes("delivered", sender="a@b.example", data=letter("k", size))
            gw.sink.wait(n)
        match(gw.real.log(), r"<= a@b\.example .* K( |$)", "its log says K")


@test
def exim_eight_bits():
    eight_bits(EximHop)


@test
def exim_is_verified():
    not_verified(EximHop)


@test
def exim_refuses():
    refusals(EximHop)


@test
def exim_auth():
    with To(EximHop, auth=True) as gw:
        gw.goes("delivered", sender="a@b.example")
        match(gw.sink.wait()[0].data, rb"with esmtpsa ", "Received")
    with To(lambda sink, cert: EximHop(sink, cert, auth=True)) as gw:
        gw.goes("bounced", "not from you", sender="")


# Debian's OpenSMTPD cannot finish a handshake with its OpenSSL (whoever
# calls): what opportunistic TLS is for.

@test
def opensmtpd_whole():
    whole(OpenSmtpdHop, rb"with ESMTPS? ", "")


@test
def opensmtpd_eight_bits():
    eight_bits(OpenSmtpdHop, "")


@test
def opensmtpd_is_verified():
    not_verified(OpenSmtpdHop)


@test
def opensmtpd_refuses():
    refusals(OpenSmtpdHop, "")


main()
