"""Gateways that send with TLS: next hops with certificates, their names, and
what becomes of a mail.

    with Sending(hub=MX(tls=ca().cert("hub.example")), words="tls require") \\
            as gw:
        gw.goes("delivered")

Each next hop stands under its keyword and ".example" (or in `mxs`: under the
whole name), is tried in that order, and has an address in the name server
gw.dns. Mail for example.net goes to them.
"""
from postern import *  # noqa: F401,F403
from postern import (DNS, MX, SANITIZED, equal, letter, match, own_address,
                     queued_id)
from secured import Secured, shared_ca
from certs import Ca

QUICK = "".join(f"deliver {n}-timeout {4 if SANITIZED else 1}s\n" for n in (
    "connect", "greeting", "helo", "starttls", "mail", "rcpt", "data-init",
    "data-block", "data-end", "quit"))
VERBS_OF_MAIL = ("mail", "rcpt", "data", "dot")
_others = []


def ca():
    """The authority that Sending trusts."""
    return shared_ca()


def other_ca():
    """One that nobody trusts."""
    if not _others:
        _others.append(Ca("Another Root"))
    return _others[0]


def bad_certs(name):
    """{what is wrong: Cert}, for a host of that name."""
    return {"expired": ca().cert(name, days=(-20, -10)),
            "not yet valid": ca().cert(name, days=(10, 20)),
            "self-signed": ca().self_signed(name),
            "of another authority": other_ca().cert(name),
            "of another name": ca().cert("other.example"),
            "of a name below": ca().cert("a." + name),
            "with the name beside its names": ca().cert(
                "other.example", subject=f"/CN={name}"),
            "with a NUL in the name": nul_cert(name),
            "with its root missing": broken_chain(name)}


def nul_cert(name):
    """Which says NAME, NUL, .evil.example."""
    text = name.encode() + b"\0.evil.example"
    san = bytes([0x30, len(text) + 2, 0x82, len(text)]) + text
    return ca().cert(subject="/CN=evil.example",
                     extra="2.5.29.17=DER:" + san.hex(":"))


def broken_chain(name):
    """Signed by an intermediate that is not sent along."""
    found = ca().cert(name, issuer=ca().intermediate())
    with open(found.chain) as f:
        first = f.read().split("-----END CERTIFICATE-----")[0]
    with open(found.chain, "w") as f:
        f.write(first + "-----END CERTIFICATE-----\n")
    return found


class Sending(Secured):
    """words: behind `relay to HOPS'. scheme: of the URLs. by_mx: instead by
    MX of example.net, all on one port and on addresses of their own."""
    signed = False  # whether the name server says AD

    def __init__(self, words="", conf="", scheme=None, by_mx=False, mxs=None,
                 quick=False, retry="1h", before="", dns=None, options="",
                 records=None, **hops):
        self.hops = dict(mxs or {}, **{f"{k}.example": v
                                       for k, v in hops.items()})
        self.dns = dns or DNS(self.names(by_mx, records or {}),
                              ad=self.signed)
        way = f"port {self.port_of_all()}" if by_mx else \
            "to " + " ".join(f'"{self.url(n, m, scheme)}"'
                             for n, m in self.hops.items())
        text = self.dns.conf(f"timeout 5s {options}") + \
            f'ca "{ca().root}"\n{before}' \
            f"action out relay {way} {words}\n" \
            'match for domain { "example.net" } action out\n' \
            f"queue retry {retry}\n"
        if "idle-timeout" not in conf:
            text += "deliver idle-timeout 1s\n"  # who waits for the end
        super().__init__(text + (QUICK if quick else "") + conf, relay=False)
        self.count = 0

    def names(self, by_mx, records):
        zone = {name: {"AAAA" if ":" in m.address else "A": m.address}
                for name, m in self.hops.items()
                if not m.address.startswith("/")}
        if by_mx:
            zone["example.net"] = {"MX": [
                f"{10 * n} {name}" for n, name in enumerate(self.hops, 1)]}
        for name, more in records.items():
            if isinstance(zone.get(name), dict) and isinstance(more, dict):
                zone[name] = dict(zone[name], **more)
            else:
                zone[name] = more
        return zone

    def port_of_all(self):
        (port,) = {m.port for m in self.hops.values()}
        return port

    @staticmethod
    def url(name, mx, scheme):
        if mx.address.startswith("/"):
            return mx.hop
        own = mx.hop.split(":")[0]
        return f"{scheme or own}://{name}:{mx.port}"

    def __exit__(self, kind, value, tb):
        super().__exit__(kind, value, tb)
        for m in self.hops.values():
            m.close()
        if kind is None:
            self.dns.close()

    def send(self, *rcpts, token=None, data=None, params="", sender=""):
        """A mail, accepted; REQUIRETLS is said under TLS, so all are."""
        self.count += 1
        token = token or f"t{self.count}"
        with self.tls() as c:
            return queued_id(c.mail(sender, rcpts or ("x@example.net",),
                                    data or letter(token), params))

    def goes(self, event, pattern="", *rcpts, **kw):
        """One mail, and what has to become of it; the log's line."""
        got, line = self.fate(self.send(*rcpts, **kw))
        match(got, f"^({event})$", line)
        match(line, pattern, "the line")
        return line


class Each(Sending):
    """The same action to each of several next hops {what: MX}, all of them
    hub.example, on ports of their own; mail for dN.example goes to the Nth."""

    def __init__(self, words, mxs, scheme=None, **kw):
        self.each = mxs
        conf = "".join(
            f'action d{n} relay to "{self.url("hub.example", mx, scheme)}" '
            f'{words}\nmatch for domain {{ "d{n}.example" }} action d{n}\n'
            for n, mx in enumerate(mxs.values()))
        super().__init__(conf=conf, hub=next(iter(mxs.values())), **kw)

    def __exit__(self, kind, value, tb):
        super().__exit__(kind, value, tb)
        for mx in self.each.values():
            mx.close()

    def all(self, event, pattern="", **kw):
        """A mail to each of them, and what has to become of all."""
        mids = [self.send(f"x@d{n}.example", **kw)
                for n in range(len(self.each))]
        for what, mid in zip(self.each, mids):
            got, line = self.fate(mid)
            match(got, f"^({event})$", f"{what}: {line}")
            match(line, pattern, what)

    def delivered(self, tls=True):
        """They come; {what: Mail}."""
        self.all("delivered")
        found = {what: mx.wait()[-1] for what, mx in self.each.items()}
        for what, mail in found.items():
            equal(mail.tls is not None, tls, f"{what}: TLS")
            if tls:
                self.each[what].nothing_in_clear()
        self.wait_empty()
        return found

    def refused(self, event="deferred", pattern=r"4\.7\.[45]", **kw):
        """None of them must have it."""
        self.all(event, pattern, **kw)
        for what, mx in self.each.items():
            mx.wait_ended()
            equal(mx.mails(), [], f"{what}: mails")
            mx.nothing_in_clear()


def delivered_by(words="", tls=True, mx=None, conf="", **kw):
    """One mail to one next hop that has to come; (Mail, MX)."""
    mx = mx or MX(tls=ca().cert("hub.example"))
    with Sending(words, conf, hub=mx, **kw) as gw:
        gw.goes("delivered")
        mail = mx.wait()[-1]
        equal(mail.tls is not None, tls, "TLS")
        if tls:
            mx.nothing_in_clear()
        gw.wait_empty()
    return mail, mx


def deferred_by(words="", mx=None, pattern=r"4\.7\.[45]", conf="", **kw):
    """One mail to one next hop that must not have it; its MX."""
    mx = mx or MX(tls=ca().cert("hub.example"))
    with Sending(words, conf, hub=mx, **kw) as gw:
        gw.goes("deferred", pattern)
        mx.wait_ended()
        equal(mx.mails(), [], "mails")
        mx.nothing_in_clear()
    return mx


def row(n, port=0, **kw):
    """n next hops on one port, each with an address of its own."""
    found = []
    for i in range(n):
        found.append(MX(address=own_address(2 + i),
                        port=found[0].port if found else port, **kw))
    return found
