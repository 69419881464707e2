#!/usr/bin/python3
"""XCLIENT, in Postfix' form, from gateways in front of us."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403

LISTENERS_OF_TESTS = {"mx": '$pkis xclient from { "$gateway" }',
                      "submission": '$pkis auth accounts xclient from '
                                    '{ "$gateway" }'}


def secured(conf="", **kw):
    return Secured(conf, listeners=LISTENERS_OF_TESTS,
                   values={"gateway": own_address(2)}, **kw)


def mail(c, token):
    return c.mail("a@client.example", "x@example.net", letter(token))


@test
def another_client_speaks():
    with secured() as gw, \
            gw.connect("mx", source=own_address(2)) as c:
        equal(c.words()["XCLIENT"], "NAME ADDR PORT PROTO HELO LOGIN "
              "DESTADDR DESTPORT".split())
        c.want("XCLIENT NAME=[UNAVAILABLE] ADDR=198.51.100.7 PORT=4711", 220)
        c.want("MAIL FROM:<a@b.example>", 503)
        c.want("EHLO there.example", 250)
        queued_id(mail(c, "first"))
        c.want("XCLIENT ADDR=IPV6:2001:db8::7 NAME=six.example "
               "HELO=said.example PROTO=ESMTP", 220)
        queued_id(mail(c, "second"))
        gw.wait_empty()
        mails = {token_of(m.data): m.data for m in gw.mx.mails()}
        assert b"from there.example (unknown [198.51.100.7])" in \
            mails["first"], mails["first"]
        assert b"from said.example (six.example [IPv6:2001:db8::7])" in \
            mails["second"], mails["second"]
        gw.wait_log(r"xclient .*client=198\.51\.100\.7 port=4711 .*by=127")
        equal(gw.stats()["smtpd.xclient"], 2)


@test
def not_for_others():
    with secured() as gw, gw.plain(source=own_address(3)) as c:
        assert "XCLIENT" not in c.words()
        c.want("XCLIENT ADDR=198.51.100.7", 550)
        queued_id(mail(c, "same"))
        gw.wait_empty()
        assert own_address(3).encode() in gw.delivered().data


@test
def limits_and_rules_are_the_clients():
    conf = 'match from source { "198.51.100.0/24" } for any reject ' \
           '"550 5.7.1 not you"\n'
    with Secured('deny from { "203.0.113.0/24" }\n',
                 listeners=LISTENERS_OF_TESTS, relay=False,
                 before="action out relay to \"$hop\"\n" + conf +
                 'match for domain { "example.net" } action out\n',
                 values={"gateway": own_address(2)}) as gw:
        with gw.connect("mx", source=own_address(2), helo="g.example") as c:
            c.want("XCLIENT ADDR=198.51.100.7", 220)
            c.want("EHLO x.example", 250)
            c.want("MAIL FROM:<a@b.example>", 250)
            c.want("RCPT TO:<x@example.net>", 550)
            c.want("RSET", 250)
            c.want("XCLIENT ADDR=192.0.2.7", 220)
            c.want("EHLO x.example", 250)
            queued_id(mail(c, "fine"))
            c.want("XCLIENT ADDR=203.0.113.9", 554)
            assert c.ended()


@test
def login_is_believed():
    with secured() as gw, \
            gw.tls("submission", source=own_address(2)) as c:
        c.want("MAIL FROM:<a@client.example>", 250)
        c.want("RCPT TO:<x@elsewhere.example>", 550)
        c.want("RSET", 250)
        c.want("XCLIENT LOGIN=luke", 220)
        assert "AUTH" not in c.words()
        c.want("MAIL FROM:<a@client.example>", 250)
        c.want("RCPT TO:<x@elsewhere.example>", 250)
        c.want("RSET", 250)
        c.want("XCLIENT LOGIN=[UNAVAILABLE]", 220)
        assert "AUTH" in c.words()
        c.want("MAIL FROM:<a@client.example>", 250)
        c.want("RCPT TO:<x@elsewhere.example>", 550)


main()
