#!/usr/bin/python3
"""DANE (RFC 7672) by a name server that says what is authenticated: when
records bind, when they do not, and that nothing leads around them."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from outward import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403


def mine(name="one.example", **kw):
    """A certificate that nobody vouches for: only DANE can."""
    return other_ca().cert(name, **kw)


class Dane(Sending):
    """By MX, with a server that authenticates. tlsa: {host: what the zone
    has for its TLSA name}; insecure: names (or "name type") without AD."""
    signed = True

    def __init__(self, tlsa=None, words="", insecure=(), zone=None, **kw):
        self.tlsa, self.insecure, self.more = tlsa or {}, insecure, zone or {}
        kw.setdefault("by_mx", True)
        super().__init__(words, options="trust-ad", **kw)

    def names(self, by_mx, records):
        zone = super().names(by_mx, records)
        for host, what in self.tlsa.items():
            port = self.hops[host].port if host in self.hops else \
                next(iter(self.hops.values())).port
            zone[f"_{port}._tcp.{host}"] = {"TLSA": what} if isinstance(
                what, (str, list, tuple)) else what
        for name, what in self.more.items():
            zone[name] = what
        for name in self.insecure:
            name, _, kind = name.partition(" ")
            if kind:
                zone[name] = dict(zone[name],
                                  **{kind: Insecure(zone[name][kind])})
            else:
                zone[name] = Insecure(zone[name])
        return zone


def gateway(tlsa, mx, words="", **kw):
    return Dane({"one.example": tlsa}, words, one=mx, **kw)


def comes(tlsa, mx, tls=True, words="", **kw):
    with gateway(tlsa, mx, words, **kw) as gw:
        line = gw.goes("delivered")
        mail = mx.wait()[0]
        equal(mail.tls is not None, tls, "TLS")
        if tls:
            mx.nothing_in_clear()
    return mail, line


def waits(tlsa, mx, words="", pattern=r"4\.7\.[45]", **kw):
    with gateway(tlsa, mx, words, **kw) as gw:
        gw.goes("deferred", pattern)
        mx.wait_ended()
        equal(mx.mails(), [], "mails")
        mx.nothing_in_clear()


ALL_3 = [(3, s, m) for s in (0, 1) for m in (0, 1, 2)]


@test
def usage_3():
    """The key or the certificate itself, whatever else is wrong with it."""
    cert = mine()
    for numbers in ALL_3:
        comes(cert.tlsa(*numbers), MX(tls=cert))
    for cert in (mine(days=(-20, -10)), mine("other.example"),
                 other_ca().self_signed("x.example"), mine(kind="rsa")):
        comes(cert.tlsa(), MX(tls=cert))
    # By default, and when it is said; SNI is the host's name.
    mail, _ = comes(cert.tlsa(), MX(tls=cert), words="tls dane")
    equal(mail.tls.sni, "one.example", "SNI")


@test
def usage_2():
    """The authority of the certificate; then names and times count."""
    root = other_ca().issuer
    for numbers in [(2, s, m) for s in (0, 1) for m in (0, 1, 2)]:
        # What is not in the chain (a digest) cannot be found.
        with_root = mine()
        with open(with_root.chain, "a") as f, open(root.chain) as r:
            f.write(r.read())
        comes(with_root.tlsa(*numbers, of=root), MX(tls=with_root))
    between = other_ca().intermediate()
    cert = other_ca().cert("one.example", issuer=between)
    comes(cert.tlsa(2, 1, 1, of=between), MX(tls=cert))
    # The name of the mail domain will do (RFC 7672 3.2.2).
    cert = other_ca().cert("example.net", issuer=between)
    comes(cert.tlsa(2, 1, 1, of=between), MX(tls=cert))
    for bad in (other_ca().cert("other.example", issuer=between),
                other_ca().cert("one.example", issuer=between,
                                days=(-20, -10))):
        waits(bad.tlsa(2, 1, 1, of=between), MX(tls=bad))
    # Not the authority, though everybody else trusts it.
    cert = ca().cert("one.example")
    waits(cert.tlsa(2, 1, 1, of=between), MX(tls=cert))


@test
def a_record_that_does_not_match():
    cert, other = mine(), mine()
    for numbers in ALL_3:
        waits(other.tlsa(*numbers), MX(tls=cert))
    # Though an authority that we trust has signed it.
    waits(other.tlsa(), MX(tls=ca().cert("one.example")))


@test
def requiretls_by_an_authenticated_mx():
    """Without records DNSSEC says at least who the host is (RFC 8689)."""
    knows = ("PIPELINING", "REQUIRETLS")
    for insecure, want in (((), "delivered"),
                           (("one.example",), "delivered"),
                           (("example.net",), "bounced")):
        mx = MX(tls=ca().cert("one.example"), extensions=knows)
        with Dane({}, one=mx, insecure=insecure) as gw:
            gw.goes(want, "" if want == "delivered" else r"5\.7\.30",
                    params=" REQUIRETLS")
            mx.nothing_in_clear()


@test
def one_of_several():
    """A key that is about to change has its successor beside it."""
    cert = mine()
    old = [mine().tlsa(), mine().tlsa(3, 0, 2)]
    comes([*old, cert.tlsa()], MX(tls=cert))
    # One that is no use to us does no harm beside others.
    comes(["0 0 1 " + "00" * 32, "3 1 9 abcd", cert.tlsa()], MX(tls=cert))
    waits(old, MX(tls=cert))


@test
def never_stripped():
    """No STARTTLS, a broken handshake, bytes behind the 220."""
    cert = mine()
    waits(cert.tlsa(), MX())
    for how in (Garble(), Drop(), Reset(), Broken(300, Drop())):
        waits(cert.tlsa(), MX(tls=cert, faults={"handshake": how}))
    for answer in ("454 4.7.0 not now", "502 5.5.1 what?"):
        waits(cert.tlsa(), MX(tls=cert, faults={"starttls": Reply(answer)}))
    waits(cert.tlsa(), MX(tls=cert, faults={
        "starttls": Raw(b"220 go\r\n250 evil\r\n")}), pattern=r"4\.\d\.\d")
    waits(cert.tlsa(), MX(tls=cert, versions=("TLSv1", "TLSv1_1")))


@test
def unusable_records():
    """TLS of whoever, but TLS (RFC 7672 2.2)."""
    for record in ("1 1 1 " + "ab" * 32, "0 0 1 " + "ab" * 32,
                   "3 1 1 abcd", "3 9 1 " + "ab" * 32, "255 255 255 00"):
        comes(record, MX(tls=mine()))
        waits(record, MX())


@test
def no_records():
    """Authenticated that there are none: opportunistic."""
    comes({}, MX(tls=mine()))
    comes({}, MX(), tls=False)
    comes(Nodata(), MX(), tls=False)
    comes(Nxdomain(), MX(), tls=False)


@test
def records_that_cannot_be_had():
    """A forger could have eaten them: the host is not used."""
    for how in (Rcode("SERVFAIL"), Rcode("REFUSED"), Rcode("FORMERR"),
                Silent(), RawAnswer(b"\x85\x80\0\1\0\1\0\0\0\0")):
        mx = MX(tls=mine())
        waits(how, mx)
        equal(mx.total, 0, "connections")


@test
def the_next_host_then():
    cert = mine("two.example")
    for bad in (Rcode("SERVFAIL"), mine().tlsa()):
        one, two = row(2)
        one.set_tls(mine())
        two.set_tls(cert)
        with Dane({"one.example": bad, "two.example": cert.tlsa()},
                  one=one, two=two) as gw:
            gw.goes("delivered")
            equal(two.wait()[0].tls.sni, "two.example", "SNI")
            equal(one.mails(), [], "the first")
            one.nothing_in_clear()


@test
def what_is_not_authenticated_does_not_bind():
    """An MX, an address or a record without AD: as if there were no DANE."""
    cert, other = mine(), mine()
    for insecure in (["example.net"], ["one.example"]):
        comes(other.tlsa(), MX(tls=cert), insecure=insecure)
        comes(other.tlsa(), MX(), tls=False, insecure=insecure)
    mx = MX(tls=cert)
    comes(Insecure({"TLSA": other.tlsa()}), mx)


@test
def a_server_that_is_not_trusted():
    """Without trust-ad its AD is nothing."""
    other = mine()
    mx = MX(tls=mine())
    gw = gateway(other.tlsa(), mx)
    gw.conf_text = gw.conf_text.replace(" trust-ad", "")
    gw.write_conf()
    with gw:
        gw.goes("delivered")
        equal(gw.json("show", "status")["dnssec"], False, "dnssec")


@test
def a_server_that_does_not_validate():
    """Nobody's answers have AD: DANE is off, and the log says so, once."""
    other = mine()
    mx = MX(tls=mine())
    dns = DNS(ad=False)
    with gateway(other.tlsa(), mx, dns=dns) as gw:
        dns.add(gw.names(True, {}))
        gw.wait_log(r"resolver .*dnssec", alive=True)
        gw.goes("delivered")
        equal(gw.json("show", "status")["dnssec"], False, "dnssec")


@test
def a_server_that_validates():
    cert = mine()
    with gateway(cert.tlsa(), MX(tls=cert)) as gw:
        wait_until(lambda: gw.json("show", "status")["dnssec"], "dnssec")
        gw.goes("delivered")


@test
def aliases():
    """The MX host is an alias: the records of what it leads to come first,
    then those of the alias itself."""
    cert, other = mine("real.example"), mine()
    for where, tlsa, event in (
            ("real.example", cert, "delivered"),
            ("real.example", other, "deferred"),
            ("one.example", cert, "delivered"),
            ("one.example", other, "deferred")):
        mx = MX(tls=cert)
        zone = {"one.example": {"CNAME": "real.example"},
                "real.example": {"A": mx.address}}
        with Dane({where: tlsa.tlsa()}, one=mx, zone=zone) as gw:
            gw.goes(event)
            if event == "delivered":
                equal(mx.wait()[0].tls.sni, where, "SNI: the base")
            mx.nothing_in_clear()


@test
def an_alias_of_the_records():
    """_25._tcp.mx CNAME to where a hoster keeps them."""
    cert, other = mine(), mine()
    for tlsa, event in ((cert, "delivered"), (other, "deferred")):
        mx = MX(tls=cert)
        with Dane({"one.example": {"CNAME": "tlsa.hoster.example"}}, one=mx,
                  zone={"tlsa.hoster.example": {"TLSA": tlsa.tlsa()}}) as gw:
            gw.goes(event)
            mx.nothing_in_clear()


@test
def a_next_hop_by_name():
    """`relay to` with tls dane: the host's own records."""
    cert, other = mine("hub.example"), mine()
    for tlsa, event in ((cert, "delivered"), (other, "deferred")):
        mx = MX(tls=cert)
        with Dane({"hub.example": tlsa.tlsa()}, "tls dane", by_mx=False,
                  hub=mx) as gw:
            gw.goes(event)
            mx.nothing_in_clear()
    # Not asked for: any certificate.
    mx = MX(tls=cert)
    with Dane({"hub.example": other.tlsa()}, by_mx=False, hub=mx) as gw:
        gw.goes("delivered")


@test
def without_an_mx():
    """The domain's own address is its mail host."""
    cert, other = mine("example.net"), mine()
    for tlsa, event in ((cert, "delivered"), (other, "deferred")):
        mx = MX(tls=cert)
        with Dane({"example.net": tlsa.tlsa()}, one=mx,
                  zone={"example.net": {"A": mx.address}}) as gw:
            gw.goes(event)
            mx.nothing_in_clear()


@test
def records_that_change():
    """A new key: mail waits until its record is there, and then goes."""
    cert, other = mine(), mine()
    mx = MX(tls=cert)
    with gateway(RR(other.tlsa(), 1), mx, retry="1s") as gw:
        mid = gw.send()
        gw.fate(mid, event="deferred")
        gw.dns.add({f"_{mx.port}._tcp.one.example": {
            "TLSA": RR(cert.tlsa(), 1)}})
        gw.fate(mid, event="delivered")
        mx.wait()
        mx.nothing_in_clear()


@test
def idle_connections_are_for_the_same_records():
    """One opened without DANE (the action does not want it) serves nobody
    who does."""
    cert = mine()
    mx = MX(tls=cert)
    conf = f'action easy relay port {mx.port} tls opportunistic\n' \
        'match for domain { "easy.example" } action easy\n' \
        "deliver idle-timeout 1h\nworkers delivery 1\n"
    with gateway(mine().tlsa(), mx, conf=conf, zone={
            "easy.example": {"MX": "10 one.example"}}) as gw:
        gw.goes("delivered", "", "x@easy.example")
        gw.goes("deferred", r"4\.7\.5")
        equal(len(mx.mails()), 1, "mails")


main()
