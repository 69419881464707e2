#!/usr/bin/python3
"""The way to the next hop by DNS: which hosts, in which order, and what is
not a way at all."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

CONF = '''
action out relay port $port
action back relay to "$hop"
match for domain { "client.example" } action back
match for any action out
queue retry 1h
deliver connect-timeout 1s
deliver idle-timeout 0
workers delivery 1
'''


class Hosts:
    """n sinks on addresses of their own, one port for all; and the one that
    reports go to."""

    def __init__(self, n, faults=None, v6=False):
        self.all = [MX(address=own_address(2), faults=faults)]
        self.port = self.all[0].port
        for i in range(1, n):
            self.all.append(MX(address=own_address(2 + i), port=self.port,
                               faults=faults))
        if v6:
            try:
                self.all.append(MX(address="::1", port=self.port))
            except OSError as e:
                raise Skip("no IPv6 here") from e
        self.back = MX(address=own_address(0))

    def __getitem__(self, i):
        return self.all[i]

    def gateway(self, dns, conf=CONF, **values):
        return Gateway(dns.conf() + conf,
                       dict(values, port=self.port, hop=self.back.hop))

    def counts(self):
        return [len(m.mails()) for m in self.all]

    def close(self):
        for m in [*self.all, self.back]:
            m.close()


def one(gw, to, token="t"):
    with gw.client(helo="client.example") as c:
        return queued_id(c.mail("a@client.example", to, letter(token)))


def goes(gw, to, event, pattern=""):
    got, line = gw.fate(one(gw, to))
    equal(got, event, line)
    match(line, pattern, to)
    return line


def mx_zone(hosts, preferences, **more):
    zone = {"d.example": {"MX": [f"{p} mx{i}.example" for i, p in
                                 enumerate(preferences)]}}
    for i, _ in enumerate(preferences):
        zone[f"mx{i}.example"] = {"A": hosts[i].address}
    zone.update(more)
    return zone


@test
def the_preferred_one_first():
    hosts = Hosts(3)
    with DNS(mx_zone(hosts, (20, 10, 30))) as dns, hosts.gateway(dns) as gw:
        for _ in range(10):
            goes(gw, "x@d.example", "delivered", r"relay=\S*mx1\.example")
        equal(hosts.counts(), [0, 10, 0], "mails")
        # Its route is remembered.
        equal(len(dns.asked("d.example", "MX")), 1, "questions")
        hosts[1].close()
        goes(gw, "x@d.example", "delivered", r"mx0\.example")
        hosts[0].close()
        goes(gw, "x@d.example", "delivered", r"mx2\.example")
        equal(hosts.counts(), [1, 10, 1], "mails")
        hosts[2].close()
        goes(gw, "x@d.example", "deferred")
    hosts.close()


@test
def equal_ones_share():
    hosts = Hosts(4)
    with DNS(mx_zone(hosts, (10, 10, 10, 20))) as dns, \
            hosts.gateway(dns) as gw:
        ids = [one(gw, "x@d.example", f"t{i}") for i in range(60)]
        for mid in ids:
            equal(gw.fate(mid)[0], "delivered", mid)
        counts = hosts.counts()
        # Chances of less than one in a million.
        assert min(counts[:3]) >= 3, counts
        equal(counts[3], 0, "the one that is not preferred")
    hosts.close()


@test
def addresses_of_one_host_share():
    hosts = Hosts(3)
    with DNS({"d.example": {"A": [m.address for m in hosts.all]}}) as dns, \
            hosts.gateway(dns) as gw:
        for i in range(20):
            goes(gw, f"x{i}@d.example", "delivered")
        assert all(m.close() is None for m in hosts.all[:2])
        goes(gw, "x@d.example", "delivered", re.escape(hosts[2].address))
    hosts.close()


@test
def answers_that_are_no():
    """A 4xx of one host is not asked of the next where it is about the
    recipient; a greeting that refuses is."""
    hosts = Hosts(2)
    hosts[0].faults["connect"] = Reply("421 4.3.2 not now")
    with DNS(mx_zone(hosts, (10, 20))) as dns, hosts.gateway(dns) as gw:
        goes(gw, "x@d.example", "delivered", r"mx1\.example")
        hosts[1].faults["connect"] = Reply("421 4.3.2 nor here")
        goes(gw, "x@d.example", "deferred", "421")
        equal(hosts[0].total, 2, "the first was tried each time")
    hosts.close()


@test
def ourselves_in_the_list():
    """RFC 5321 5.1: only those better than us."""
    hosts = Hosts(3)
    with DNS(dict(
            mx_zone(hosts, (10, 20, 30)),
            **{"by-name.example": {"MX": ["10 mx0.example",
                                          "20 MX.Test.Example",
                                          "30 mx2.example"]},
               "same.example": {"MX": ["10 mx0.example",
                                       "20 mx.test.example",
                                       "20 mx2.example"]},
               "best.example": {"MX": ["10 mx.test.example",
                                       "20 mx2.example"]},
               "alone.example": {"MX": "10 mx.test.example"},
               "mx.test.example": {"A": own_address()}})) as dns, \
            hosts.gateway(dns) as gw:
        goes(gw, "x@by-name.example", "delivered", r"mx0\.example")
        hosts[0].close()
        for domain in ("by-name.example", "same.example"):
            goes(gw, f"x@{domain}", "deferred")
        for domain in ("best.example", "alone.example"):
            goes(gw, f"x@{domain}", "bounced", r"5\.4\.6")
        equal(hosts.counts()[1:], [0, 0], "mails to worse ones")
    hosts.close()


OWN = '''
action out relay port $own_port
action back relay to "$hop"
match for domain { "client.example" } action back
match for any action out
queue retry 1h
'''


@test
def ourselves_by_address():
    """A listener of ours, whatever it is called."""
    hosts = Hosts(1)
    me = own_address()
    with DNS({"d.example": {"MX": "10 odd.example"}, "odd.example": {"A": me},
              "plain.example": {"A": me},
              "literal.example": {"MX": ["10 odd.example",
                                         "20 worse.example"]},
              "worse.example": {"A": own_address(5)}}) as dns:
        gw = hosts.gateway(dns, OWN)
        with gw:
            for domain in ("d.example", "plain.example", "literal.example"):
                goes(gw, f"x@{domain}", "bounced", r"5\.4\.6")
            equal(len(hosts.back.wait(3)), 3, "reports")
            # It never called itself.
            accepted = gw.log_has(r"smtpd connect .*client=" + re.escape(me))
            equal(accepted, [], "connections from ourselves")
    hosts.close()


@test
def ourselves_behind_a_wildcard():
    """Seen when connected: those no better than us are left out then too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            raise Skip("this machine has no address but the loopback's")
        here = s.getsockname()[0]
    back = MX(address=own_address(0))
    try:
        worse = MX(address="::1", port=wide_port())
    except OSError as e:
        raise Skip("no IPv6 here") from e
    with DNS({"d.example": {"MX": ["10 us.example", "20 worse.example"]},
              "only.example": {"MX": "20 worse.example"},
              "us.example": {"A": here},
              "worse.example": {"AAAA": "::1"}}) as dns:
        conf = OWN.replace("$own_port", "$port") + \
            "listen on 0.0.0.0 port $port\n"
        with Gateway(dns.conf() + conf, {"port": worse.port,
                                         "hop": back.hop}) as gw:
            goes(gw, "x@d.example", "bounced", r"5\.4\.6")
            equal(worse.mails(), [], "mails to the worse one")
            goes(gw, "x@only.example", "delivered", r"worse\.example")
    back.close()
    worse.close()


@test
def both_families():
    """An MX of both, and only one of them answers."""
    hosts = Hosts(1, v6=True)
    v4, v6 = hosts.all
    both = {"MX": "10 both.example"}
    with DNS({"d.example": both,
              "both.example": {"A": v4.address, "AAAA": "::1"},
              "six.example": {"MX": "10 six-mx.example"},
              "six-mx.example": {"AAAA": "::1"},
              # One of the lookups fails, the other is enough.
              "half.example": {"MX": "10 half-mx.example"},
              "half-mx.example": {"AAAA": Rcode("SERVFAIL"),
                                  "A": v4.address},
              "other-half.example": {"MX": "10 other-mx.example"},
              "other-mx.example": {"A": Silent(), "AAAA": "::1"}}) as dns, \
            hosts.gateway(dns) as gw:
        goes(gw, "x@six.example", "delivered", r"\[(IPv6:)?::1\]")
        goes(gw, "x@half.example", "delivered", re.escape(v4.address))
        goes(gw, "x@other-half.example", "delivered", "::1")
        goes(gw, "x@d.example", "delivered")
        v6.close()
        for i in range(4):
            goes(gw, f"x{i}@d.example", "delivered", re.escape(v4.address))
        again = MX(address="::1", port=hosts.port)
        v4.close()
        for i in range(4):
            goes(gw, f"x{i}@d.example", "delivered", "::1")
        again.close()
    hosts.close()


@test
def names_as_next_hops():
    """By their addresses, never by MX; several in their order."""
    hosts = Hosts(3)
    conf = '''
action first relay to "smtp://a.example:$port" "smtp://b.example:$port"
action gone relay to "smtp://gone.example:$port" "smtp://b.example:$port"
action sick relay to "smtp://sick.example:$port" "$third"
action nowhere relay to "smtp://gone.example:$port"
action unsure relay to "smtp://sick.example:$port"
action back relay to "$hop"
match for domain { "first.example" } action first
match for domain { "gone.example" } action gone
match for domain { "sick.example" } action sick
match for domain { "nowhere.example" } action nowhere
match for domain { "unsure.example" } action unsure
match for domain { "client.example" } action back
queue retry 1h
deliver connect-timeout 1s
deliver idle-timeout 0
'''
    with DNS({"a.example": {"A": hosts[0].address, "MX": "1 c.example"},
              "b.example": {"A": hosts[1].address},
              "c.example": {"A": hosts[2].address},
              "sick.example": Rcode("SERVFAIL")}) as dns, \
            hosts.gateway(dns, conf, third=hosts[2].hop) as gw:
        goes(gw, "x@first.example", "delivered", r"a\.example")
        hosts[0].close()
        goes(gw, "x@first.example", "delivered", r"b\.example")
        goes(gw, "x@gone.example", "delivered", r"b\.example")
        goes(gw, "x@sick.example", "delivered", re.escape(hosts[2].address))
        equal(hosts.counts(), [1, 2, 1], "mails")
        equal(dns.asked(kind="MX"), [], "questions for an MX")
        # A next hop that is not there is our own trouble: it may come back.
        goes(gw, "x@nowhere.example", "deferred", r"4\.4\.4")
        goes(gw, "x@unsure.example", "deferred", r"4\.4\.3")
    hosts.close()


@test
def routes_by_table_with_names():
    hosts = Hosts(2)
    conf = '''
table ways { "one.example" = "smtp://a.example:$port",
    "two.example" = "smtp://gone.example:$port smtp://b.example:$port" }
action mapped relay to ways
match for domain ways action mapped
'''
    with DNS({"a.example": {"A": hosts[0].address},
              "b.example": {"A": hosts[1].address}}) as dns, \
            hosts.gateway(dns, conf) as gw:
        goes(gw, "x@one.example", "delivered", r"a\.example")
        goes(gw, "x@two.example", "delivered", r"b\.example")
    hosts.close()


@test
def one_question_for_many_mails():
    """Those that come while it is asked wait for the same answer."""
    hosts = Hosts(1)
    late = Late({"MX": "10 mx0.example"})
    with DNS({"d.example": late,
              "mx0.example": {"A": hosts[0].address}}) as dns, \
            Gateway(dns.conf("timeout 30s") + CONF,
                    {"port": hosts.port, "hop": hosts.back.hop}) as gw:
        ids = [one(gw, f"x{i}@d.example") for i in range(20)]
        dns.wait_asked("d.example", "MX")
        late.release()
        for mid in ids:
            equal(gw.fate(mid)[0], "delivered", mid)
        equal(len(dns.asked("d.example", "MX")), 1, "questions")
    hosts.close()


@test
def the_resolver_is_killed():
    """K-12: what was asked is asked again of the next one; and whatever
    comes to nothing is a temporary failure."""
    hosts = Hosts(1)
    late = Late({"MX": "10 mx0.example"})
    ledger = Ledger()
    zone = {f"d{n}.example": Sequence(late, late, {"MX": "10 mx0.example"})
            for n in range(3)}
    with DNS({**zone, "mx0.example": {"A": hosts[0].address}}) as dns, \
            Gateway(dns.conf("timeout 60s") + CONF.replace("1h", "1s"),
                    {"port": hosts.port, "hop": hosts.back.hop}) as gw:
        with gw.client(helo="client.example") as c:
            for domain in zone:
                for i in range(5):
                    ledger.send(c, f"{domain}-{i}", rcpts=f"x{i}@{domain}")
                dns.wait_asked(domain, "MX")
                mark = gw.mark()
                dead = []
                wait_until(lambda: dead.extend(gw.role_pids("resolver")) or
                           dead, "a resolver")
                os.kill(dead[0], signal.SIGKILL)
                gw.wait_log("parent died process=resolver", since=mark)
                dns.wait_asked(domain, "MX", 2)
        late.release()
        gw.ctl("flush", "all")
        gw.wait_empty()
        ledger.check(gw, sinks=[*hosts.all, hosts.back])
    hosts.close()


# --- the administrator's questions ---

ASK = CONF + '''
table users { "r2d2@box.example" }
action drop discard
'''


def ctl_json(gw, *words, code=0):
    got, out, err = gw.ctl("-j", *words)
    equal(got, code, f"{words}: {out}{err}")
    return json.loads(out)


@test
def resolve():
    with DNS({"d.example": {"MX": [RR("20 b.example", 100),
                                   RR("10 a.example", 200)],
                            "TXT": ['say "hi" \\now', "two"],
                            "A": ["192.0.2.1", "192.0.2.2"],
                            "AAAA": "2001:db8::1"},
              "al.example": {"CNAME": "d.example"},
              reverse("192.0.2.1"): {"PTR": "d.example"},
              reverse("2001:db8::1"): {"PTR": "d.example"},
              "sick.example": Rcode("SERVFAIL"),
              "signed.example": {"A": Records("192.0.2.9", ad=True)}}) as dns,\
            Gateway(dns.conf("timeout 3s trust-ad") + CONF,
                    {"port": 9, "hop": "smtp://127.0.0.1:9"}) as gw:
        for name, kind, data in (
                ("d.example", "A", {"192.0.2.1", "192.0.2.2"}),
                ("D.Example.", "AAAA", {"2001:db8::1"}),
                ("d.example", "mx", {"20 b.example", "10 a.example"}),
                ("al.example", "A", {"192.0.2.1", "192.0.2.2"}),
                ("al.example", "CNAME", {"d.example"}),
                ("192.0.2.1", "PTR", {"d.example"}),
                ("2001:db8::1", "PTR", {"d.example"})):
            r = ctl_json(gw, "resolve", name, kind)
            equal(set(r), {"name", "type", "status", "ad", "records"}, name)
            equal((r["status"], r["type"], r["ad"]),
                  ("ok", kind.upper(), False), name)
            equal({x["data"] for x in r["records"]}, data, name)
            assert all(0 < x["ttl"] <= 300 for x in r["records"]), r
        equal(len(ctl_json(gw, "resolve", "d.example", "TXT")["records"]), 2,
              "TXT")
        equal(ctl_json(gw, "resolve", "signed.example", "A")["ad"], True,
              "AD")
        for name, status in (("none.example", "nxdomain"),
                             ("al.example", "nodata"),
                             ("sick.example", "servfail")):
            r = ctl_json(gw, "resolve", name, "PTR", code=1)
            equal((r["status"], r["records"]), (status, []), name)
        code, out, err = gw.ctl("resolve", "d.example", "MX", check=0)
        match(out, r"10 a\.example", "text")
        for words in (("resolve", "d.example", "SRV"), ("resolve",),
                      ("resolve", "d.example")):
            assert gw.ctl(*words)[0] in (1, 2), words
        # What is asked is a name, whatever is typed.
        for name in ("", ".", "a..b", "x" * 64 + ".example", "a b",
                     "\u00e4.example", "a" * 300):
            code = gw.ctl("resolve", name, "A")[0]
            assert code in (1, 2), (name, code)


@test
def show_routes():
    hosts = Hosts(3)
    conf = '''
table users { "r2d2@box.example" }
action box maildir "$dir/mail/%{rcpt.user}"$owner
action named relay to "smtp://mx0.example:$port" "smtp://127.0.0.9:99"
action drop discard
match from source 192.0.2.0/24 for any action drop
match for rcpt users action box
match for domain { "named.example" } action named
match for domain { "no.example" } reject "550 5.1.1 nobody"
match for domain { "drop.example" } action drop
match for domain { "d.example", "sick.example", "null.example" } action out
''' + "action out relay port $port\n"
    with DNS(dict(mx_zone(hosts, (20, 10, 10)),
                  **{"sick.example": Rcode("SERVFAIL"),
                     "null.example": {"MX": "0 ."}})) as dns, \
            hosts.gateway(dns, conf,
                          owner=' user "mail"' if ROOT else "") as gw:
        r = ctl_json(gw, "show", "routes", "x@d.example")
        assert set(r) >= {"rule", "action", "hops", "passed_over"}, r
        equal(r["action"], "out", "action")
        match(r["rule"]["text"], r"sick\.example.*action out", "the rule")
        lines = gw.conf_text.split("\n")
        match(lines[r["rule"]["line"] - 1], "match .*action out", "its line")
        equal(len(r["passed_over"]), 5, "passed over")
        assert all(p["line"] and p["why"] for p in r["passed_over"]), r
        equal([(h["host"], h["preference"]) for h in r["hops"]][2:],
              [("mx0.example", 20)], "the last")
        equal({h["host"] for h in r["hops"][:2]},
              {"mx1.example", "mx2.example"}, "the first two")
        equal({h["address"] for h in r["hops"]},
              {m.address for m in hosts.all}, "addresses")
        assert all("tls" in h for h in r["hops"]), r
        r = ctl_json(gw, "show", "routes", "r2d2@box.example")
        equal(r["action"], "box", "action")
        match(r["hops"][0]["host"], re.escape(gw.dir + "/mail/"), "Maildir")
        r = ctl_json(gw, "show", "routes", "x@named.example")
        equal([h["address"] for h in r["hops"]],
              [hosts[0].address, "127.0.0.9"], "next hops")
        for domain in ("sick.example", "null.example"):
            r = ctl_json(gw, "show", "routes", f"x@{domain}")
            equal(r["action"], "out", domain)
            assert not any(h["address"] for h in r["hops"]), r
        r = ctl_json(gw, "show", "routes", "x@drop.example")
        equal((r["action"], r["hops"]), ("drop", []), "discard")
        equal(gw.ctl("show", "routes", "x@elsewhere.example")[0], 1,
              "no rule")
        out = gw.ctl("show", "routes", "x@no.example")[1]
        match(out, "550 5.1.1 nobody", "a refusal")
        for address in ("", "@", "x", "x@", "x@[1.2.3.4", "a b@d.example"):
            code = gw.ctl("show", "routes", address)[0]
            assert code in (1, 2), (address, code)
    hosts.close()


@test
def questions_without_a_resolver():
    """While it is not there, the administrator hears that."""
    with DNS() as dns, Gateway(dns.conf() + CONF,
                               {"port": 9, "hop": "smtp://127.0.0.1:9"}) as gw:
        for n in range(4):  # the next one is started with a delay
            (pid,) = gw.role_pids("resolver")
            mark = gw.mark()
            os.kill(pid, signal.SIGKILL)
            gw.wait_log("parent died process=resolver", since=mark)
            code, out, err = gw.ctl("resolve", "x.example", "A")
            assert code in (1, 3), (code, out, err)
            wait_until(lambda: gw.role_pids("resolver"), "another")
            wait_until(lambda: "nxdomain" in gw.ctl("-j", "resolve",
                                                    "x.example", "A")[1],
                       "an answer")


main()
