#!/usr/bin/python3
"""HAProxy in front: the real client is seen through it, in both versions of
the PROXY protocol, before SMTP in the clear, before STARTTLS, before TLS."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403
from realclients import *  # noqa: E402,F401,F403

LISTENERS = {"mx": "$pkis proxy-protocol auth accounts",
             "smtps": "$pkis smtps proxy-protocol auth accounts",
             "own": "$pkis"}
VERSIONS = ("send-proxy", "send-proxy-v2")


def ways(gw, more=""):
    return [(v, gw.ports[lst], more) for v in VERSIONS
            for lst in ("mx", "smtps")]


def through(gw, port, smtps, source, **kw):
    return TlsClient(gw.address, port, smtps=smtps, source=source, **kw)


@test
def the_client_is_seen():
    with Secured(listeners=LISTENERS) as gw, \
            HaProxy(gw.address, ways(gw)) as ha:
        count = 0
        for n, port in enumerate(ha.ports):
            smtps = bool(n % 2)
            for secured in (True,) if smtps else (False, True):
                source = own_address(3 + n)
                mark = gw.mark()
                c = through(gw, port, smtps, source, helo="client.example")
                if secured and not smtps:
                    c.starttls(helo="client.example")
                queued_id(c.mail("a@b.example", "x@example.net",
                                 letter(f"h{n}", 100000)))
                row = [r for r in gw.json("show", "sessions")
                       if r["client"] == source]
                equal([r["port"] for r in row], [c.sock.getsockname()[1]],
                      "show sessions")
                match(gw.wait_log(" proxy ", since=mark),
                      rf"client={source}\b", "the log")
                c.want("QUIT", 221)
                c.ended()
                count += 1
                match(gw.delivered(count).data, rf"\[{source}\]", "Received")
        equal(gw.stats()["smtpd.proxy"], count, "headers")
        equal(gw.stats()["smtpd.proxy_errors"], 0, "errors")


@test
def limits_are_the_client_s():
    """The balancer's own address may have as many as it likes."""
    with Secured(
            listeners=LISTENERS,
            conf='deny from { "$bad" } "554 5.7.1 go away"\n',
            values={"bad": own_address(4)}) as gw, \
            HaProxy(gw.address, ways(gw)) as ha:
        for n, port in enumerate(ha.ports[::2]):
            c = through(gw, port, False, own_address(4))
            equal(c.greeting, (554, "5.7.1 go away"), "denied")
            c.ended()
            c = through(gw, port, False, own_address(5))
            equal(c.greeting[0], 220, "another")


@test
def checks_of_the_balancer():
    """Its health checks: LOCAL in version 2, and SMTP spoken."""
    more = "check inter 200ms check-send-proxy"
    with Secured(listeners=LISTENERS) as gw, HaProxy(
            gw.address, [("send-proxy-v2", gw.ports["mx"], more),
                         ("send-proxy", gw.ports["mx"], more)]) as ha:
        gw.wait_stat("smtpd.connections", 6)
        for port in ha.ports:
            with through(gw, port, False, own_address(3)) as c:
                c.want("EHLO client.example", 250)
        equal(gw.stats()["smtpd.proxy_errors"], 0, "errors")


@test
def without_a_header():
    """A balancer that was not told to: the connection ends, unanswered."""
    with Secured(listeners=LISTENERS) as gw, HaProxy(
            gw.address, [("", gw.ports["mx"], ""),
                         ("send-proxy-v2", gw.ports["own"], ""),
                         ("send-proxy", gw.ports["own"], "")]) as ha:
        c = through(gw, ha.ports[0], False, own_address(3), greet=False)
        c.send("EHLO client.example\r\n")
        equal(c.line(), None, "no word")
        gw.wait_log(r"proxy-error ")
        # And headers where none are wanted: no mail, no harm.
        for port in ha.ports[1:]:
            c = through(gw, port, False, own_address(3), greet=False)
            c.send("EHLO client.example\r\n")
            said = [c.reply()[0]]
            while said[-1] not in (0, 250):
                said.append(c.reply()[0])
            match(said, r"^\[(220, )?5\d\d", "talked too early, or nonsense")
            c.close()


main()
