#!/usr/bin/python3
"""DANE with zones that are really signed: nsd serves them, unbound validates
them below a root of its own, and postern goes by what unbound says."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from outward import *  # noqa: E402,F401,F403
from signedzones import *  # noqa: E402,F401,F403

OLD = ("20200101", "20200201")


class World:
    """One mail host for each domain, all on one port, and their zones."""

    def __init__(self, plain=False):
        self.between = other_ca().intermediate()
        hosts = ("good", "ta", "wrong", "stripped", "expired", "nosig",
                 "forged", "unsigned", "none")
        self.certs = {n: other_ca().cert(f"mx.{n}.test", issuer=self.between)
                      for n in hosts}
        self.mxs = {}
        for n, name in enumerate(hosts):
            self.mxs[name] = MX(address=self.host(n), port=self.port,
                                tls=self.certs[name])
        self.mxs["stripped"].context = None  # a downgrade: no STARTTLS
        self.names = Signed({
            "good.test": self.zone("good", (3, 1, 1)),
            "ta.test": self.zone("ta", (2, 0, 1)),
            "wrong.test": self.zone("wrong", None),
            "stripped.test": self.zone("stripped", (3, 1, 1)),
            "expired.test": self.zone("expired", (3, 1, 1), dates=OLD),
            "nosig.test": self.zone("nosig", (3, 1, 1), strip=("TLSA",)),
            "forged.test": self.zone("forged", (3, 1, 1), lie=self.forge),
            "unsigned.test": self.zone("unsigned", None, signed=False),
            "none.test": self.zone("none", False)}, plain)

    @staticmethod
    def host(n):
        """More addresses than own_address has, with the same first ones."""
        first, last = own_address(0).rsplit(".", 1)
        return f"{first}.{(int(last) + 8 + n) % 254 + 1}"

    @property
    def port(self):
        return next(iter(self.mxs.values())).port if self.mxs else 0

    def zone(self, name, numbers, **kw):
        mx = self.mxs[name]
        text = f"@\tMX\t10 mx\nmx\tA\t{mx.address}\n"
        if numbers is not False:
            tlsa = self.certs[name].tlsa(*numbers, of=self.between if
                                         numbers[0] == 2 else None) \
                if numbers else other_ca().cert("other.example").tlsa()
            text += f"_{self.port}._tcp.mx\tTLSA\t{tlsa}\n"
        return Zone(text, **kw)

    @staticmethod
    def forge(text):
        """Other data under the signature that is there."""
        return re.sub(r"(?m)^(.*\sTLSA\s+3 1 1 ).*$", r"\1" + "ab" * 32, text)

    def gateway(self, conf="", **kw):
        return Gateway(self.names.conf() + f'ca "{ca().root}"\n'
                       f"action out relay port {self.port}\n"
                       'match for domain { ".test" } action out\n'
                       "queue retry 1h\n" + conf, **kw)

    def close(self):
        self.names.close()
        for m in self.mxs.values():
            m.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, tb):
        if kind is not None:
            self.names.unbound.show()
        self.close()


def send(gw, name):
    with gw.client(helo="client.example") as c:
        return queued_id(c.mail("", f"x@{name}.test", letter(name)))


def goes(gw, name, event, pattern=""):
    got, line = gw.fate(send(gw, name))
    equal(got, event, f"{name}: {line}")
    match(line, pattern, name)


@test
def what_unbound_says():
    """The world is what it should be, before anybody relies on it."""
    with World() as w:
        ask = w.names.unbound.ask
        tlsa = f"_{w.port}._tcp.mx"
        equal(ask(".", 2), (0, True), "the root")
        equal(ask("good.test", 15), (0, True), "MX")
        equal(ask(f"{tlsa}.good.test", 52), (0, True), "TLSA")
        equal(ask(f"{tlsa}.none.test", 52), (3, True), "no TLSA, proven")
        equal(ask("mx.nosig.test", 1), (0, True), "the rest of nosig")
        equal(ask(f"{tlsa}.nosig.test", 52)[0], 2, "without a signature")
        equal(ask(f"{tlsa}.forged.test", 52)[0], 2, "forged")
        equal(ask("expired.test", 15)[0], 2, "expired")
        equal(ask("unsigned.test", 15), (0, False), "unsigned")
        equal(ask(f"{tlsa}.unsigned.test", 52), (0, False), "unsigned TLSA")


@test
def dane():
    with World() as w, w.gateway('dnssec signed "." bogus "expired.test"\n') \
            as gw:
        wait_until(lambda: gw.json("show", "status")["dnssec"] is True,
                   "dnssec")
        for name in ("good", "ta"):
            goes(gw, name, "delivered", r"TLSv1\.3")
            equal(w.mxs[name].wait()[0].tls.sni, f"mx.{name}.test", "SNI")
        goes(gw, "wrong", "deferred", r"4\.7\.5")
        goes(gw, "stripped", "deferred", r"4\.7\.[45]")
        for name in ("nosig", "forged"):
            goes(gw, name, "deferred", r"4\.7\.5")
            equal(w.mxs[name].total, 0, f"{name}: connections")
        goes(gw, "expired", "deferred", r"4\.4\.3")
        equal(w.mxs["expired"].total, 0, "expired: connections")
        # A zone without signatures binds nobody, and one that is signed and
        # has no records neither.
        for name in ("unsigned", "none"):
            goes(gw, name, "delivered")
        for name in ("good", "ta", "wrong", "stripped", "nosig", "forged",
                     "expired"):
            w.mxs[name].nothing_in_clear()
            equal(len(w.mxs[name].mails()), name in ("good", "ta"), name)


@test
def one_that_does_not_validate():
    """DANE is off, for everybody, and the log says so; nothing is bogus."""
    with World(plain=True) as w, w.gateway() as gw:
        gw.wait_log(r" resolver dnssec .*state=off|dnssec=off", alive=True)
        wait_until(lambda: gw.json("show", "status")["dnssec"] is False,
                   "no dnssec")
        for name in ("good", "wrong", "unsigned", "expired"):
            goes(gw, name, "delivered")


@test
def one_that_lies_about_it():
    """It has AD for the signed name, and no SERVFAIL for the bogus one."""
    with World() as w, w.gateway('dnssec signed "." bogus "good.test"\n') \
            as gw:
        gw.wait_log(r" resolver dnssec .*state=off", alive=True)
        wait_until(lambda: gw.json("show", "status")["dnssec"] is False,
                   "no dnssec")


main()
