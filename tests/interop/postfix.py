#!/usr/bin/python3
"""Debian's Postfix as a client: STARTTLS that it verifies, smtps, AUTH, DSN,
SMTPUTF8; resumed sessions; and what comes back to it."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403
from realclients import *  # noqa: E402,F401,F403

VERIFIED = "smtp_tls_security_level = secure\nsmtp_tls_CAfile = /ca.pem\n" \
           "smtp_tls_secure_cert_match = mx.test.example\n" \
           "smtp_tls_loglevel = 1\nsmtp_tls_session_cache_database =\n"
OFFERS = ("PIPELINING", "8BITMIME", "SIZE 52428800", "ENHANCEDSTATUSCODES",
          "DSN", "SMTPUTF8")


@test
def verified_and_whole():
    with Secured() as gw, PostfixClient(
            gw.address, gw.ports["mx"], VERIFIED, gw.ca.root) as pf:
        data = letter("pf", 300000)
        with Client(pf.address, pf.port, helo="inside.example") as c:
            for n in range(5):
                equal(c.mail("a@b.example", "x@example.net", data)[0], 250,
                      "Postfix")
        for mail in gw.mx.wait(5):
            # It adds fields that are missing, at the end of the header.
            head, body = mail.data.split(b"\r\n\r\n", 1)
            equal(body, data.split(b"\r\n\r\n", 1)[1], "content")
            assert b"X-Token: pf\r\n" in head, head
            match(mail.data, rb"with ESMTPS\s+\(version=TLSv1\.3", "Received")
        pf.wait_log(r"Verified TLS connection established to mx\.test|"
                    r"Verified TLS connection established")


@test
def dsn_goes_through():
    with Secured(mx={"extensions": OFFERS}) as gw, PostfixClient(
            gw.address, gw.ports["mx"], VERIFIED, gw.ca.root) as pf:
        with Client(pf.address, pf.port, helo="inside.example") as c:
            c.want("MAIL FROM:<a@b.example> RET=HDRS ENVID=QQ+2B314", 250)
            c.want("RCPT TO:<x@example.net> NOTIFY=SUCCESS,FAILURE "
                   "ORCPT=rfc822;first+2Bx@example.net", 250)
            c.want("RCPT TO:<y@example.net> NOTIFY=NEVER", 250)
            c.want("DATA", 354)
            c.send(letter("dsn") + b".\r\n")
            equal(c.reply()[0], 250, "Postfix")
        gw.delivered()
        said = "\n".join(f"{c}" for c in gw.mx.commands)
        match(said, r"RET=HDRS", "RET")
        match(said, r"ENVID=QQ\+2B314", "ENVID")
        match(said, r"x@example\.net>[^\n]*NOTIFY=SUCCESS,FAILURE", "NOTIFY")
        match(said, r"ORCPT=rfc822;first\+2Bx@example\.net", "ORCPT")
        match(said, r"y@example\.net>[^\n]*NOTIFY=NEVER", "NEVER")


@test
def smtputf8_goes_through():
    with Secured() as gw, PostfixClient(
            gw.address, gw.ports["mx"], VERIFIED + "smtputf8_enable = yes\n",
            gw.ca.root) as pf:
        with Client(pf.address, pf.port, helo="inside.example") as c:
            equal(c.mail("jürgen@b.example", "käthe@example.net",
                         "Subject: Grüße\r\n\r\nhi\r\n".encode(),
                         " SMTPUTF8")[0], 250, "Postfix")
        mail = gw.delivered()
        equal((mail.sender, mail.rcpts),
              ("jürgen@b.example", ["käthe@example.net"]), "envelope")
        match(mail.data, rb"with UTF8SMTPS\s+\(", "Received")


@test
def it_submits():
    """By smtps, with AUTH, as a company's own server does."""
    auth = "smtp_tls_wrappermode = yes\nsmtp_sasl_auth_enable = yes\n" \
        "smtp_sasl_password_maps = inline:{{ {{ [{0}]:{1} = luke:force }} }}" \
        "\nsmtp_sasl_security_options = noanonymous\n" \
        "smtp_sasl_mechanism_filter = plain, login\n"
    with Secured() as gw, PostfixClient(
            gw.address, gw.ports["smtps"], VERIFIED + auth.format(
                gw.address, gw.ports["smtps"]), gw.ca.root) as pf:
        with Client(pf.address, pf.port, helo="inside.example") as c:
            equal(c.mail("a@b.example", "x@example.net", letter("s"))[0], 250,
                  "Postfix")
        match(gw.delivered().data, rb"with ESMTPSA\s+\(", "Received")
        gw.wait_log(r"\baccepted .*user=luke")


@test
def it_hears_why():
    """A refusal of ours is in the report it makes; a 4xx is tried again."""
    conf = 'match from any for rcpt { "no@example.net" } reject ' \
        '"550 5.1.1 no such user here"\n' \
        'action out relay to "$hop"\nmatch for domain { "example.net" } ' \
        'action out\n'
    with Secured(conf=conf, relay=False) as gw, PostfixClient(
            gw.address, gw.ports["mx"], VERIFIED, gw.ca.root) as pf:
        with Client(pf.address, pf.port, helo="inside.example") as c:
            equal(c.mail("back@example.net", "no@example.net",
                         letter("r"))[0], 250, "Postfix")
        report = gw.delivered()
        equal((report.sender, report.rcpts), ("", ["back@example.net"]),
              "the report")
        match(report.data, rb"(?s)Status: 5\.1\.1.*no such user here", "why")


main()
