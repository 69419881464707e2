#!/usr/bin/python3
"""MTA-STS (RFC 8461): a policy on a web server says which hosts may have a
domain's mail, and for how long that holds, whatever becomes of the server."""
import os
import signal
import sys
import time
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from fakedns import RR, Nodata, Nxdomain, Rcode  # noqa: E402
from outward import *  # noqa: E402,F401,F403
from policyhost import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403

DOMAIN = "example.net"
RECORD, HOST = f"_mta-sts.{DOMAIN}", f"mta-sts.{DOMAIN}"
LATER = r"4\.7\.[45]"
ENFORCE = policy("enforce", "one.example")


class Sts(Sending):
    """One next hop, one.example, by MX; its domain has a policy: page, on a
    host with cert. Its record may change at once: its TTL is 0."""

    def __init__(self, page=ENFORCE, mx=None, cert=None, id="1", high=None,
                 **kw):
        self.host = PolicyHost(cert or ca().cert(HOST), page, high=high)
        self.record = {"TXT": RR(f"v=STSv1; id={id};", ttl=0)}
        if not kw.get("mxs"):
            kw["one"] = mx or MX(tls=ca().cert("one.example"))
        super().__init__("tls mta-sts", by_mx=True, records={
            RECORD: self.record, HOST: {"A": self.host.address}}, **kw)

    def set_id(self, id):
        self.dns.add({RECORD: {"TXT": RR(f"v=STSv1; id={id};", ttl=0)}})

    def folder(self):
        return f"{self.dir}/spool/mta-sts"

    def stored(self):
        """{domain: its file's lines by key}."""
        found = {}
        for name in os.listdir(self.folder()):
            try:
                with open(f"{self.folder()}/{name}") as f:
                    lines = f.read().splitlines()
            except FileNotFoundError:
                continue  # it went meanwhile
            found[name] = dict(line.split("=", 1) for line in lines[1:])
        return found

    def change_stored(self, **values):
        """Other values in the file of DOMAIN, as if it had been written so;
        while the gateway is stopped."""
        path = f"{self.folder()}/{DOMAIN}"
        with open(path) as f:
            lines = f.read().splitlines()[:-1]
        for i, line in enumerate(lines):
            key = line.split("=")[0].replace("-", "_")
            if key in values:
                lines[i] = f"{line.split('=')[0]}={values[key]}"
        text = "".join(line + "\n" for line in lines)
        with open(path, "w") as f:
            f.write(f"{text}crc={crc32c(text.encode()):08x}\n")

    def __exit__(self, kind, value, tb):
        self.host.close()
        super().__exit__(kind, value, tb)


class Many(Sts):
    """Domains d0.example, d1.example, ..., one for each of pages, whose next
    hop has no TLS. What they have otherwise by the same keys: txts, certs,
    hosts (what the zone has for the policy host)."""

    def __init__(self, pages, txts=None, certs=None, hosts=None):
        self.domains = {what: f"d{i}.example" for i, what in enumerate(pages)}
        self.hop = MX()
        names = [f"mta-sts.{d}" for d in self.domains.values()]
        rule = ", ".join(f'"{d}"' for d in self.domains.values())
        super().__init__(
            {f"mta-sts.{d}": pages[w] for w, d in self.domains.items()},
            mx=self.hop, cert=ca().cert(*names),
            conf=f"match for domain {{ {rule} }} action out\n")
        for what, domain in self.domains.items():
            host = f"mta-sts.{domain}"
            self.host.certs.update({host: certs[what]} if certs else {})
            self.dns.add({
                domain: {"MX": "10 one.example"},
                f"_mta-sts.{domain}": {"TXT": [
                    RR(t, ttl=0) for t in (txts[what] if txts else
                                           ["v=STSv1; id=1;"])] or None},
                host: hosts[what] if hosts else {"A": self.host.address}})

    def comes(self, what, logged=True):
        """Mail of that domain comes in the clear; what the log says of its
        policy."""
        domain = self.domains[what]
        before = len(self.hop.mails())
        mid = self.send(f"x@{domain}")
        event, line = self.fate(mid)
        equal(event, "delivered", f"{what}: {line}")
        equal(self.hop.wait(before + 1)[-1].tls, None, "TLS")
        return self.wait_log(rf" fetch sts domain={domain} ") if logged \
            else ""

    def waits(self, what):
        event, line = self.fate(self.send(f"x@{self.domains[what]}"))
        match(event, "deferred", f"{what}: {line}")
        match(line, LATER, what)
        equal(self.hop.mails(), [], f"{what}: mails")

    def asked(self, what):
        """Requests for its policy."""
        line = f"Host: mta-sts.{self.domains[what]}\r\n"
        return len([r for r in self.host.requests if line in r])


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def strange_mx():
    """One whose certificate nobody vouches for."""
    return MX(tls=other_ca().cert("one.example"))


def comes_in_clear(gw, mx):
    """Nothing holds the mail back; no TLS is needed."""
    gw.goes("delivered")
    equal(mx.wait(len(mx.mails()) or 1)[-1].tls, None, "TLS")


# --- enforce ---

@test
def enforce_delivers_to_a_verified_host():
    with Sts() as gw:
        gw.goes("delivered")
        mx = gw.hops["one.example"]
        equal(mx.wait()[0].tls is not None, True, "TLS")
        equal(mx.sessions[0].sni, "one.example", "SNI")
        gw.goes("delivered")
        equal(len(gw.host.requests), 1, "the policy is fetched once")
        match(gw.host.requests[0], rf"^GET {PATH} HTTP/1.1\r\n"
              rf"Host: {HOST}\r\n", "request")
        gw.wait_log(rf" fetch sts domain={DOMAIN} mode=enforce id=1 "
                    r"max-age=604800 mx=one\.example")
        equal(gw.stored()[DOMAIN]["mx"], "one.example", "on disk")
        stats = gw.stats()
        equal([stats[f"fetch.{n}"] for n in ("policies", "fetches",
                                             "failures")], [1, 1, 0], "stats")


@test
def enforce_defers_what_is_not_verified():
    for what, cert in bad_certs("one.example").items():
        mx = MX(tls=cert)
        with Sts(mx=mx) as gw:
            line = gw.goes("deferred", LATER)
            mx.wait_ended()
            equal(mx.mails(), [], f"{what}: {line}")
            mx.nothing_in_clear()


@test
def enforce_never_without_tls():
    for mx in MX(), MX(tls=ca().cert("one.example"),
                       faults={"handshake": [Drop()]}), \
            MX(tls=ca().cert("one.example"),
               faults={"starttls": Reply("454 4.7.0 not now")}):
        with Sts(mx=mx) as gw:
            gw.goes("deferred", LATER)
            mx.wait_ended()
            mx.nothing_in_clear()


@test
def enforce_skips_hosts_that_are_not_listed():
    one, two = row(2, tls=ca().cert("one.example", "two.example"))
    with Sts(policy("enforce", "two.example"),
             mxs={"one.example": one, "two.example": two}) as gw:
        gw.goes("delivered")
        equal(len(two.wait()), 1, "the second")
        equal(one.total, 0, "connections to the first")
    one = MX(tls=ca().cert("one.example"))
    with Sts(policy("enforce", "other.example"), mx=one) as gw:
        gw.goes("deferred", LATER)
        equal(one.total, 0, "connections")


@test
def patterns_stand_for_one_label():
    for pattern, host, good in (
            ("*.example", "one.example", True),
            ("*.b.example", "a.b.example", True),
            ("*.example", "a.b.example", False),
            ("*.one.example", "one.example", False),
            ("ONE.Example", "one.example", True)):
        mx = MX(tls=ca().cert(host))
        with Sts(policy("enforce", pattern), mxs={host: mx}) as gw:
            gw.goes("delivered" if good else "deferred")


@test
def a_policy_of_another_make():
    """Lines, order and what else there may be (RFC 8461 3.2)."""
    pages = {
        "CRLF": policy("enforce", "one.example", end="\r\n"),
        "no end": policy("enforce", "one.example").rstrip(b"\n"),
        "another order": b"max_age: 86400 \nmx:one.example\nx-new: y z\n"
                         b"mode: enforce\nmode: none\nversion: STSv1\n",
        "a charset": Page(ENFORCE, kind="Text/Plain; charset=utf-8"),
        "very long": policy("enforce", "one.example", max_age=9999999999),
        "in chunks": Page(b"%x\r\n%s\r\n0\r\n\r\n" % (
            len(ENFORCE), ENFORCE), length=False,
            headers=("Transfer-Encoding: chunked",)),
        "64 KiB": policy("enforce", "one.example",
                         more="\n" * (65536 - len(ENFORCE)))}
    with Many(pages=pages) as gw:
        for what in pages:
            gw.waits(what)


# --- testing, none ---

@test
def testing_holds_nothing_back():
    for mx in strange_mx(), MX(), MX(tls=ca().cert("other.example")):
        with Sts(policy("testing", "other.example"), mx=mx) as gw:
            gw.goes("delivered")
            gw.wait_log(r" fetch sts .*mode=testing")


@test
def none_holds_nothing_back():
    mx = MX()
    with Sts(policy("none"), mx=mx) as gw:
        comes_in_clear(gw, mx)
        gw.wait_log(r" fetch sts .*mode=none")
        equal(gw.stored(), {}, "on disk")


@test
def none_takes_a_policy_back():
    mx = MX()
    with Sts(mx=mx) as gw:
        gw.goes("deferred", LATER)
        equal(list(gw.stored()), [DOMAIN], "on disk")
        gw.host.answer = policy("none")
        gw.set_id("2")
        comes_in_clear(gw, mx)
        equal(gw.stored(), {}, "on disk")


# --- no policy to be had ---

FAULTS = {
    "a redirect": (Page(ENFORCE, status="301 Moved", headers=(
        f"Location: https://{HOST}/other",)), "fetch-error"),
    "a redirect that is found": (Page(ENFORCE, status="302 Found", headers=(
        f"Location: https://{HOST}{PATH}",)), "fetch-error"),
    "no such page": (Page(ENFORCE, status="404 Not Found"), "fetch-error"),
    "an error": (Page(ENFORCE, status="500 Oops"), "fetch-error"),
    "another type": (Page(ENFORCE, kind="text/html"), "fetch-error"),
    "no type": (Page(ENFORCE, kind=None), "fetch-error"),
    "too much": (Page(ENFORCE + b"\n" * (65537 - len(ENFORCE))),
                 "fetch-error"),
    "too much, unannounced": (Page(ENFORCE + b"\n" * 200000, length=False),
                              "fetch-error"),
    "half of it": (Page(ENFORCE, half=True), "fetch-error"),
    "half of it, unannounced": (Page(ENFORCE, half=True, length=False),
                                "fetch-error"),
    "all of it, unannounced": (Page(ENFORCE, length=False), "fetch-error"),
    "an endless head": (Page(b"", endless=b"HTTP/1.1 200 OK\r\n" +
                             b"X: y\r\n" * 1000), "fetch-error"),
    "endless provisional answers": (Page(
        b"", endless=b"HTTP/1.1 103 Wait\r\n\r\n" * 1000), "fetch-error"),
    "garbage": (Page(b"\x00\xff" * 5000), "policy-invalid"),
    "nothing": (Page(b""), "policy-invalid"),
    "another version": (policy("enforce", "one.example", version="STSv2"),
                        "policy-invalid"),
    "another mode": (policy("maybe", "one.example"), "policy-invalid"),
    "no host": (policy("enforce"), "policy-invalid"),
    "no host that can be": (policy("enforce", "one example"),
                            "policy-invalid"),
    "a strange age": (policy("enforce", "one.example", max_age="-1"),
                      "policy-invalid"),
}


@test
def a_page_that_is_no_policy():
    pages = {what: page for what, (page, _) in FAULTS.items()}
    with Many(pages=pages) as gw:
        for what, (_, fault) in FAULTS.items():
            line = gw.comes(what)
            match(line, rf"mode=none id=1 fault=sts-\w*-?{fault} why=", what)
            equal(gw.asked(what), 1, f"{what}: requests")
            gw.comes(what)  # not asked again for a while
            equal(gw.asked(what), 1, f"{what}: requests")
        equal(gw.stored(), {}, "on disk")
        equal(gw.stats()["fetch.failures"], len(FAULTS), "by one process")


@test
def a_policy_host_that_is_not_believed():
    certs = bad_certs(HOST)
    for i, what in enumerate(certs):
        if what in ("expired", "not yet valid", "self-signed",
                    "of another authority", "with its root missing"):
            certs[what] = bad_certs(f"mta-sts.d{i}.example")[what]
    with Many(pages={what: ENFORCE for what in certs}, certs=certs) as gw:
        for what in certs:
            match(gw.comes(what), "fault=sts-webpki-invalid ", what)
            equal(gw.asked(what), 0, f"{what}: requests")


@test
def a_policy_host_of_old():
    for high in "TLSv1", "TLSv1_1":
        mx = MX()
        with Sts(mx=mx, high=high) as gw:
            comes_in_clear(gw, mx)
            equal(gw.host.requests, [], f"{high}: requests")
    with Sts(high="TLSv1_2", mx=strange_mx()) as gw:
        gw.goes("deferred", LATER)


@test
def a_policy_host_that_is_nowhere():
    hosts = {"no such name": Nxdomain(), "no address": {"TXT": "x"},
             "no answer": Rcode("SERVFAIL")}
    with Many(pages={what: ENFORCE for what in hosts}, hosts=hosts) as gw:
        for what in hosts:
            match(gw.comes(what), "fault=sts-policy-fetch-error ", what)


@test
def a_policy_host_with_several_addresses():
    """Nobody is at the first ones."""
    with Sts() as gw:
        gw.dns.add({HOST: {"AAAA": "::1", "A": [
            own_address(5), own_address(6), gw.host.address]}})
        gw.goes("delivered")
        equal(len(gw.host.requests), 1, "requests")


@test
def records_that_announce_nothing():
    txts = {"none": [], "two": ["v=STSv1; id=1;", "v=STSv1; id=2;"],
            "another version": ["v=STSv2; id=1;"],
            "no id": ["v=STSv1;"], "a long id": ["v=STSv1; id=" + "1" * 33],
            "a bad id": ["v=STSv1; id=1-2"]}
    with Many(pages={what: ENFORCE for what in txts}, txts=txts) as gw:
        for what in txts:
            gw.comes(what, logged=False)
        equal(gw.host.total, 0, "connections")
    txts = {"others beside it": ["v=spf1 -all", "v=STSv1; id=1;"],
            "an extension": ["v=STSv1;id=1;  x-new=y%z ;"],
            "no end": ["v=STSv1; id=1"]}
    with Many(pages={what: ENFORCE for what in txts}, txts=txts) as gw:
        for what in txts:
            gw.waits(what)
            equal(gw.asked(what), 1, f"{what}: requests")


# --- a policy holds as long as it said ---

@test
def a_new_id_brings_a_new_policy():
    with Sts(policy("enforce", "other.example")) as gw:
        gw.goes("deferred", LATER)
        gw.host.answer = ENFORCE
        gw.goes("deferred", LATER)
        equal(len(gw.host.requests), 1, "requests of one id")
        gw.set_id("2")
        gw.goes("delivered")
        equal(len(gw.host.requests), 2, "requests")
        equal(gw.stored()[DOMAIN]["id"], "2", "on disk")


@test
def it_holds_when_there_is_no_new_one():
    """The record goes, the name server, the web server, the certificate: what
    was promised stays."""
    mx = MX()
    with Sts(mx=mx) as gw:
        gw.goes("deferred", LATER)
        for records in Nodata(0), {"TXT": RR("v=STSv1; nonsense", ttl=0)}:
            gw.dns.add({RECORD: records})
            gw.goes("deferred", LATER)
        equal(len(gw.host.requests), 1, "requests")
        gw.set_id("2")
        gw.host.close()
        gw.goes("deferred", LATER)
        gw.wait_log(rf" fetch sts domain={DOMAIN} mode=enforce id=1 "
                    r"fault=sts-policy-fetch-error why=")
        equal(gw.stats()["fetch.held"], 1, "held")
        mx.nothing_in_clear()


@test
def it_holds_after_a_restart():
    mx = MX()
    with Sts(mx=mx) as gw:
        gw.goes("deferred", LATER)
        gw.stop()
        gw.host.close()
        gw.dns.add({RECORD: Rcode("SERVFAIL"), HOST: {}})
        gw.start()
        gw.goes("deferred", LATER)
        # And after a death.
        for pid in gw.role_pids("fetch"):
            os.kill(pid, signal.SIGKILL)
        gw.goes("deferred", LATER)
        mx.nothing_in_clear()


@test
def it_ends_with_its_age():
    mx = MX()
    with Sts(mx=mx) as gw:
        gw.goes("deferred", LATER)
        gw.stop()
        gw.host.close()
        gw.change_stored(fetched=int(time.time()) - 604801)
        gw.start()
        comes_in_clear(gw, mx)
        wait_until(lambda: gw.stored() == {}, "its file is gone")


@test
def it_is_refreshed_ahead_of_time():
    """A day old; nobody asks, and the record says nothing new."""
    with Sts(mx=strange_mx()) as gw:
        gw.goes("deferred", LATER)
        gw.stop()
        old = int(time.time()) - 86500
        gw.change_stored(fetched=old)
        gw.start()
        gw.host.wait(2)
        wait_until(lambda: int(gw.stored()[DOMAIN]["fetched"]) > old,
                   "the new time is on disk")
        gw.wait_stat("fetch.refreshes", 1)


@test
def a_refresh_that_fails_changes_nothing():
    mx = MX()
    with Sts(mx=mx) as gw:
        gw.goes("deferred", LATER)
        gw.stop()
        old = int(time.time()) - 86500
        gw.change_stored(fetched=old)
        gw.host.answer = Page(ENFORCE, status="404 Not Found")
        mark = gw.mark()
        gw.start()
        gw.wait_log(r" fetch sts .*mode=enforce .*fault=", since=mark)
        equal(int(gw.stored()[DOMAIN]["fetched"]), old, "on disk")
        gw.goes("deferred", LATER)


@test
def files_that_are_not_whole_are_removed():
    mx = MX()
    with Sts(mx=mx) as gw:
        gw.goes("deferred", LATER)
        gw.stop()
        with open(f"{gw.folder()}/{DOMAIN}") as f:
            good = f.read()
        for name, text in {"empty.example": "", "Upper.example": good,
                           DOMAIN: good[:-1] + "0\n", "other.example": good,
                           ".new": good[:40]}.items():
            with open(f"{gw.folder()}/{name}", "w") as f:
                f.write(text)
        gw.host.close()
        gw.start()
        wait_until(lambda: os.listdir(gw.folder()) == [], "no files")
        comes_in_clear(gw, mx)


@test
def a_death_while_it_fetches():
    """The question is asked again of its successor."""
    with Sts(Page(ENFORCE, stall=True), mx=strange_mx()) as gw:
        mid = gw.send()
        gw.host.wait(1)
        gw.host.answer = ENFORCE
        for pid in gw.role_pids("fetch"):
            os.kill(pid, signal.SIGKILL)
        match(gw.fate(mid)[1], LATER, "its fate")
        equal(len(gw.host.requests), 2, "requests")


@test
def nobody_can_tell():
    """A question that kills whoever is asked: mail waits, and goes nowhere
    unsecured."""
    mx = MX()
    with Sts(Page(ENFORCE, stall=True), mx=mx) as gw:
        mid = gw.send()
        for n in 1, 2, 3:
            gw.host.wait(n)
            for pid in gw.role_pids("fetch"):
                os.kill(pid, signal.SIGKILL)
        event, line = gw.fate(mid)
        equal(event, "deferred", line)
        match(line, r"4\.7\.5", "status")
        equal(mx.total, 0, "connections")


@test
def who_says_nothing_gives_way():
    """Twice as many as may be asked at once keep still. Others have their
    turn in time, first those who have a policy."""
    still = {f"s{i}": Page(b"", stall=True) for i in range(64)}
    pages = {"known": ENFORCE, **still, "new": ENFORCE}
    with Many(pages=pages) as gw:
        gw.waits("known")
        known, new = gw.domains["known"], gw.domains["new"]
        mark = gw.mark()
        for what in still:
            gw.send(f"x@{gw.domains[what]}")
        gw.host.wait(33)
        gw.dns.add({f"_mta-sts.{known}": {
            "TXT": RR("v=STSv1; id=2;", ttl=0)}})
        mids = [gw.send(f"x@{domain}") for domain in (new, known)]
        gw.wait_log(rf" fetch sts domain={known} mode=enforce id=2 ",
                    since=mark)
        equal(gw.asked("new"), 0, "the other has waited longer")
        for mid in mids:
            equal(gw.fate(mid)[0], "deferred", mid)


@test
def many_at_once():
    """One question for all mail of a domain."""
    with Sts(Page(ENFORCE, stall=True)) as gw:
        mids = [gw.send() for _ in range(20)]
        gw.host.wait(1)
        gw.host.answer = ENFORCE
        for pid in gw.role_pids("fetch"):
            os.kill(pid, signal.SIGKILL)
        for mid in mids:
            equal(gw.fate(mid)[0], "delivered", mid)
        equal(len(gw.host.requests), 2, "requests")


@test
def other_authorities_with_a_reload():
    with Sts(cert=other_ca().cert(HOST), mx=strange_mx()) as gw:
        gw.conf_text = gw.conf_text.replace(ca().root, other_ca().root)
        gw.write_conf()
        gw.ctl("reload", check=0)
        gw.goes("delivered")
        gw.wait_log(rf" fetch sts domain={DOMAIN} mode=enforce id=1")


if __name__ == "__main__":
    main()
