#!/usr/bin/python3
"""The name server misbehaves: what becomes of mail by MX (faults C.4)."""
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
'''


class Net:
    """A sink, a name server, and a gateway that asks it."""

    def __init__(self, zone, conf="", servers="", sink=None,
                 options="timeout 3s", **kw):
        self.mx = sink or MX(address=own_address(2))
        self.dns = DNS(zone(self.mx.address) if callable(zone) else zone)
        self.ledger = Ledger()
        self.gw = Gateway((servers or self.dns.conf(options)) + CONF + conf,
                          {"port": self.mx.port, "hop":
                           f"smtp://{self.mx.address}:{self.mx.port}"}, **kw)

    def __enter__(self):
        self.gw.start()
        return self

    def __exit__(self, kind, value, tb):
        if kind is None:
            self.gw.remove()
        self.dns.close()
        self.mx.close()

    def send(self, *rcpts, token=None, sender="a@client.example"):
        token = token or rcpts[0].partition("@")[2]
        with self.gw.client(helo="client.example") as c:
            reply = self.ledger.send(c, token, sender, list(rcpts))
            return queued_id(reply)

    def settle(self):
        """Nobody is with an agent any more, every report has gone out, and
        the books balance."""
        wait_until(lambda: all(r["state"] != "active"
                               for m in self.gw.queue()
                               for r in m["recipients"]) and
                   len(self.gw.log_has("queue bounced")) ==
                   len(self.gw.log_has("queue delivered .*to=a@client")),
                   "nothing to be under way")
        self.ledger.check(self.gw, sinks=[self.mx])

    def expect(self, rows):
        """rows: {domain: (event, pattern of the reply)}; one mail each, all
        at once."""
        ids = {d: self.send(f"x@{d}") for d in rows}
        wrong = []
        for domain, (event, pattern) in rows.items():
            got, line = self.gw.fate(ids[domain])
            reply = re.search(r' reply=("(?:[^"\\]|\\.)*"|\S+)', line)
            if not re.fullmatch(event, got) or \
                    not re.search(pattern, reply.group(1)):
                wrong.append(f"{domain}: {line}")
        if wrong:
            raise AssertionError("\n".join(wrong))
        self.settle()


# For what counts questions: none is put a second time for lack of an answer.
ONCE = "timeout 30s"
FAULT_TTL = 5  # seconds that one is remembered
DEFERRED = ("deferred", r"4\.4\.3")
DELIVERED = ("delivered", "250")
NOWHERE = ("bounced", r"5\.4\.4")
# Where the record is nonsense, nothing or a fault may be seen in it.
UNUSABLE = ("bounced|deferred", r"5\.4\.4|4\.4\.3")


@test
def refusals_of_the_server():
    """D-1, D-3, D-6: a fault is never a bounce, and never means `no MX`."""
    rows, zone = {}, {}
    for code in ("SERVFAIL", "REFUSED", "FORMERR", "NOTIMP"):
        low = code.lower()
        zone[f"{low}.example"] = Rcode(code)
        zone[f"{low}-mx.example"] = {"MX": Rcode(code), "A": "$sink"}
        zone[f"{low}-a.example"] = {"MX": f"10 {low}.example"}
        for name in (low, f"{low}-mx", f"{low}-a"):
            rows[f"{name}.example"] = DEFERRED
    with Net(lambda sink: fill(zone, sink)) as net:
        net.expect(rows)
        equal(net.mx.mails(), [], "mails that fell back to an address")


def fill(zone, sink):
    return {name: {t: sink if v == "$sink" else v for t, v in z.items()}
            if isinstance(z, dict) else z for name, z in zone.items()}


@test
def no_answer():
    """D-2: within the time-out, and a late answer is nobody's."""
    late = Late({"MX": "10 mx.late.example"})
    with Net(lambda sink: {"silent.example": Silent(), "late.example": late,
                           "mx.late.example": {"A": sink}},
             options="timeout 1s") as net:
        start = time.monotonic()
        net.expect({"silent.example": DEFERRED, "late.example": DEFERRED})
        assert time.monotonic() - start < 30, "it took too long"
        late.release()
        equal(net.mx.mails(), [], "mails by an answer that came late")
        assert net.gw.log_has(r"died") == [], "a process died"


def second_server(first):
    with Net(lambda sink: {"*.example": {"MX": "10 mx.example"},
                           "mx.example": {"A": sink}}) as net:
        net.gw.remove()
        net.gw = Gateway(
            f"resolver {first[0]} port {first[1]} timeout 1s\n" +
            net.dns.conf() + CONF, {"port": net.mx.port,
                                    "hop": net.mx.hop})
        with net.gw:
            net.expect({f"d{i}.example": DELIVERED for i in range(3)})


@test
def one_of_two_servers_is_dead():
    """D-2: nobody listens, then: somebody does and never answers."""
    second_server((own_address(5), free_port(own_address(5))))
    with DNS(default=Silent(), address=own_address(5)) as silent:
        second_server((silent.address, silent.port))
        asked = len(silent.questions)
        assert 0 < asked < 9, f"the dead one was asked {asked} times"
    with DNS(default=Rcode("SERVFAIL"), address=own_address(5)) as sick:
        second_server((sick.address, sick.port))


@test
def no_such_thing():
    """D-4, D-5, D-7."""
    with Net(lambda sink: {
            "implicit.example": {"A": sink},
            "nothing.example": {"TXT": "here"},
            "null.example": {"MX": "0 .", "A": sink},
            "mixed.example": {"MX": ["0 .", "10 mx.mixed.example"]},
            "mx.mixed.example": {"A": sink},
            "gone-mx.example": {"MX": "10 nowhere.example", "A": sink},
            "bare.example": {"MX": Nodata(), "A": sink}}) as net:
        net.expect({"nowhere.example": ("bounced", r"5\.1\.2"),
                    "implicit.example": DELIVERED,
                    "bare.example": DELIVERED,
                    "nothing.example": NOWHERE,
                    "null.example": ("bounced", r"5\.1\.10"),
                    "mixed.example": DELIVERED,
                    # There is an MX: its address is the only way.
                    "gone-mx.example": NOWHERE})
        equal(net.dns.asked("null.example", "A"), [], "A of a null MX")


BAD_TARGETS = {
    "literal": "127.0.0.1", "control": "a\\001b.example",
    "newline": "a\\013\\010b.example", "eight-bit": "\\252\\195.example",
    "dots": "a\\.b.example", "blank": "a\\032b.example",
    "hyphen": "-mx.example", "slash": "a/b.example",
    "quote": 'a"b.example', "long-label": "l" * 64 + ".example",
    "long-name": ".".join(["n" * 60] * 5) + ".example",
}


@test
def targets_that_are_no_hosts():
    """D-8, D-9: not tried; a good one beside them is."""
    zone, rows = {}, {}
    for name, target in BAD_TARGETS.items():
        zone[f"{name}.example"] = {"MX": f"10 {target}"}
        rows[f"{name}.example"] = UNUSABLE
        if not name.startswith("long"):  # which spoil the whole packet
            rows[f"{name}.example"] = NOWHERE
            zone[f"{name}-too.example"] = {"MX": [f"10 {target}",
                                                  "20 mx.example"]}
            rows[f"{name}-too.example"] = DELIVERED
    for name, address in (("any", "0.0.0.0"), ("multicast", "224.0.0.1"),
                          ("broadcast", "255.255.255.255")):
        zone[f"{name}.example"] = {"MX": f"10 {name}.host.example"}
        zone[f"{name}.host.example"] = {"A": address}
        rows[f"{name}.example"] = NOWHERE
    zone["any6.example"] = {"MX": "10 any6.host.example"}
    zone["any6.host.example"] = {"AAAA": "::"}
    rows["any6.example"] = NOWHERE
    with Net(lambda sink: dict(zone, **{"mx.example": {"A": sink}})) as net:
        # Nothing raw reaches a name server, or the log.
        net.expect(rows)
        assert not net.gw.log_has("[\x00-\x08\x0b-\x1f\x7f]"), "raw bytes"


@test
def aliases():
    """D-9, D-10."""
    def zone(sink):
        z = {"alias.example": {"CNAME": "real.example"},
             "real.example": {"MX": "10 alias-mx.example"},
             "alias-mx.example": {"CNAME": "host.example"},
             "host.example": {"A": sink},
             "loop.example": {"CNAME": "loop2.example"},
             "loop2.example": {"CNAME": "loop.example"},
             "self.example": {"CNAME": "self.example"},
             "loop-mx.example": {"MX": "10 loop.example"},
             "nowhere.example": {"CNAME": "gone.example"},
             "both.example": {"MX": both_records("host.example")},
             # Aliases of which only the first is told each time.
             "step0.example": {"CNAME": Records(RR("step1.example",
                                                   kind="CNAME"))},
             "step1.example": {"CNAME": Records(RR("real.example",
                                                   kind="CNAME"))}}
        for i in range(20):
            z[f"far{i}.example"] = {"CNAME": f"far{i + 1}.example"}
        z["far20.example"] = {"MX": "10 host.example"}
        for i in range(5):
            z[f"near{i}.example"] = {"CNAME": f"near{i + 1}.example"}
        z["near5.example"] = {"MX": "10 host.example"}
        return z
    with Net(zone) as net:
        net.expect({"alias.example": DELIVERED, "step0.example": DELIVERED,
                    "near0.example": DELIVERED,
                    "both.example": ("delivered|deferred", "250|4.4.3"),
                    "loop.example": DEFERRED, "self.example": DEFERRED,
                    "far0.example": DEFERRED, "loop-mx.example": DEFERRED,
                    "nowhere.example": ("bounced", r"5\.1\.2")})
        for name in ("loop.example", "far0.example"):
            asked = net.dns.asked(name, "MX")
            assert len(asked) < 10, f"{len(asked)} questions for {name}"


def both_records(host):
    """A CNAME, and beside it an MX of the same name."""
    return Records(RR("other.example", kind="CNAME"), f"10 {host}")


@test
def too_many():
    """D-11: 200 MX of 100 addresses each."""
    sink = MX(address="0.0.0.0", port=wide_port(),
              faults={"connect": Reply("421 4.3.2 not here")})
    sink.address = own_address(2)
    zone = {"many.example": {"MX": [f"10 mx{i}.many.example"
                                    for i in range(200)]}}
    base = own_address(0).rsplit(".", 2)[0]
    for i in range(200):
        zone[f"mx{i}.many.example"] = {
            "A": [f"{base}.{i}.{n + 1}" for n in range(100)]}
    with Net(zone, sink=sink) as net:
        mid = net.send("x@many.example")
        event, line = net.gw.fate(mid)
        equal(event, "deferred", line)
        match(line, "421", "the reply")
        assert 10 <= sink.total <= 50, f"{sink.total} connections"
        asked = {q.name for q in net.dns.asked() if q.name.startswith("mx")}
        assert len(asked) <= 20, f"{len(asked)} hosts were looked up"
        net.settle()


@test
def a_host_that_is_not_known_now():
    """Its neighbour says never; nobody knows what it would say itself."""
    no = MX(address=own_address(2),
            faults={"connect": Reply("554 5.7.1 not from you")})
    with Net(lambda a: {"d.example": {"MX": ["10 sick.example",
                                             "20 no.example"]},
                        "sick.example": Rcode("SERVFAIL"),
                        "no.example": {"A": a}}, sink=no) as net:
        net.expect({"d.example": DEFERRED})


@test
def truncation():
    """D-12."""
    good = {"MX": "10 mx.example"}
    with Net(lambda sink: {
            "answers.example": Truncated(good),
            "drips.example": Truncated(good, "drips"),
            "closes.example": Truncated(good, "closes"),
            "silent.example": Truncated(good, "silent"),
            "short.example": Truncated(good, "short"),
            "long.example": Truncated(good, "long"),
            # So many that they do not fit: TC by itself.
            "big.example": {"MX": [f"{i} mx.example" for i in range(200)]},
            "mx.example": {"A": sink}}) as net:
        net.expect({"answers.example": DELIVERED, "drips.example": DELIVERED,
                    "big.example": DELIVERED, "closes.example": DEFERRED,
                    "silent.example": DEFERRED, "short.example": DEFERRED,
                    "long.example": DEFERRED})
        assert any(q.tcp for q in net.dns.asked("big.example")), "no TCP"
    refusing = DNS({"tc.example": Truncated(good)}, tcp=False,
                   address=own_address(5))
    with Net({}, servers=refusing.conf()) as net:
        net.expect({"tc.example": DEFERRED})
    refusing.close()


def mx_rr(name=b"\xc0\x0c", data=b"\0\x0a\2mx\7example\0", kind=15, cls=1,
          length=None):
    return name + struct.pack(">HHIH", kind, cls, 300, len(data) if
                              length is None else length) + data


def raw(answers, counts=None, tail=b""):
    return RawAnswer(lambda q: packet(q, answers, counts=counts) + tail)


HOSTILE = {
    "counts": raw([mx_rr()], (1, 65535, 65535, 65535)),
    "no-records": raw([], (1, 3, 0, 0)),
    "two-questions": raw([mx_rr()], (2, 1, 0, 0)),
    "no-question": RawAnswer(lambda q: packet(q, [mx_rr()], counts=(0, 1, 0, 0),
                                        section=b"")),
    "self-pointer": raw([mx_rr(name=b"\xc0\x23")]),
    "pointer-chain": raw([mx_rr(data=b"\0\x0a" + b"\xc0\x0c" * 120)]),
    "pointer-beyond": raw([mx_rr(data=b"\0\x0a\xff\xff")]),
    "cut-name": raw([mx_rr(data=b"\0\x0a\x3fmx")]),
    "rdlength-long": raw([mx_rr(length=5000)]),
    "rdlength-short": raw([mx_rr(length=3)]),
    "rdlength-zero": raw([mx_rr(data=b"")]),
    "header-only": RawAnswer(b"\x85\x80\0\1\0\1\0\0\0\0"),
    "half-header": RawAnswer(b"\x85\x80\0"),
    "empty": Exactly(b""),
    "a-query": RawAnswer(lambda q: q.packet),
    "noise": RawAnswer(b"\xff" * 600),
    "zeros": RawAnswer(b"\0" * 600),
}


@test
def hostile_packets():
    """D-13: the lookup fails for now, nothing else does."""
    zone = {f"{k}.example": v for k, v in HOSTILE.items()}
    rows = {name: DEFERRED for name in zone}
    # Well formed, but no MX of that name: nothing there.
    zone["other-class.example"] = raw([mx_rr(cls=3)])
    zone["other-type.example"] = raw([mx_rr(kind=99)])
    zone["other-name.example"] = raw([mx_rr(name=wire_name("x.example"))])
    for name in ("other-class", "other-type", "other-name"):
        rows[f"{name}.example"] = UNUSABLE
    zone["tail.example"] = raw([mx_rr()], tail=b"\1\2\3")
    rows["tail.example"] = ("delivered|deferred", "250|4.4.3")
    zone["64k.example"] = {"MX": [f"{i % 9} mx.example"
                                  for i in range(2400)]}
    rows["64k.example"] = ("delivered|deferred", "250|4.4.3")
    with Net(lambda sink: dict(zone, **{"mx.example": {"A": sink}}),
             conf="limit connections-per-source 100\n") as net:
        pids = net.gw.role_pids("resolver")
        net.expect(rows)
        equal(net.gw.role_pids("resolver"), pids, "the same process")
        if not SANITIZED:
            equal(rss_mib(pids[0]) < 64, True, "its memory")


def rss_mib(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) / 1024


@test
def forgeries():
    """D-14: who answers has to be whom we asked, and what."""
    trap = MX(address=own_address(6))

    def zone(sink):
        z = {"trap.example": {"A": trap.address},
             "mx.example": {"A": sink}}
        for how in ("id", "question", "port"):
            z[f"{how}.example"] = Forged(how, {"MX": "1 trap.example"},
                                         {"MX": "10 mx.example"})
        # The truth about the name, and gifts nobody asked for.
        z["gift.example"] = {"MX": Records(
            "10 mx.example", RR(trap.address, kind="A", owner="mx.example"),
            RR("1 trap.example", kind="MX", owner="other.example"))}
        z["other.example"] = {"MX": "10 mx.example"}
        return z
    with Net(zone) as net:
        trap.close()
        net.expect({f"{n}.example": DELIVERED
                    for n in ("id", "question", "port", "gift", "other")})
        equal(trap.total, 0, "connections to the trap")


@test
def ids_and_ports_are_random():
    """D-14: a thousand questions and more, chi-square of the ids' bytes."""
    with Net(lambda sink: {"*.bulk.example": {"MX": "10 mx.example"},
                           "mx.example": {"A": sink}}) as net:
        for n in range(3):
            net.send(*[f"x@d{n}-{i}.bulk.example" for i in range(900)],
                     token=f"bulk{n}")
        net.gw.wait_empty()
        asked = [q for q in net.dns.asked(kind="MX") if not q.tcp]
        assert len(asked) >= 2700, len(asked)
        for what, values in (("high", [q.id >> 8 for q in asked]),
                             ("low", [q.id & 255 for q in asked])):
            counts = [0] * 16
            for v in values:
                counts[v >> 4] += 1
            want = len(values) / 16
            chi = sum((c - want) ** 2 / want for c in counts)
            # 15 degrees of freedom: more than 56 once in a million.
            assert chi < 56, f"{what} bytes of the ids: {counts}"
        ports = {q.port for q in asked}
        assert len(ports) >= 30, f"{len(ports)} source ports"
        steps = {(b.id - a.id) & 0xffff for a, b in zip(asked, asked[1:])}
        assert len(steps) > len(asked) / 2, "ids in steps"
        net.settle()


def resolve(gw, name, kind):
    code, out, err = gw.ctl("-j", "resolve", name, kind)
    return json.loads(out)


@test
def times_to_live():
    """D-15."""
    def a(ttl):
        return {"A": RR("192.0.2.1", ttl)}
    with Net({"zero.example": a(0), "huge.example": a((1 << 31) - 1),
              "minus.example": a(1 << 31), "less.example": a((1 << 32) - 1),
              "usual.example": a(300),
              "sick.example": Rcode("SERVFAIL")}, options=ONCE) as net:
        for name, ttl, asked in (("zero", 0, 2), ("huge", 86400, 1),
                                 ("minus", 0, 2), ("less", 0, 2),
                                 ("usual", 300, 1)):
            for _ in range(2):
                r = resolve(net.gw, f"{name}.example", "A")
                equal(r["status"], "ok", name)
                got = r["records"][0]["ttl"]
                assert ttl - 60 <= got <= ttl, f"{name}: {got}"
            equal(len(net.dns.asked(f"{name}.example")), asked, name)
        # Nothing is remembered of a fault for long, but a storm of questions
        # does not become one for the server.
        start = time.monotonic()
        for _ in range(5):
            match(resolve(net.gw, "sick.example", "A")["status"], "servfail",
                  "status")
        rounds = 1 + (time.monotonic() - start) // FAULT_TTL
        assert len(net.dns.asked("sick.example")) <= 2 * rounds, \
            "asked again at once"


@test
def negative_answers_are_remembered():
    """RFC 2308: for as long as the SOA says."""
    with Net({"none.example": {"A": Nodata(300)},
              "short.example": {"A": Nodata(0)},
              "gone.example": Nxdomain(300)}, options=ONCE) as net:
        for name, asked in (("none", 1), ("gone", 1), ("short", 2)):
            for _ in range(2):
                resolve(net.gw, f"{name}.example", "A")
            equal(len(net.dns.asked(f"{name}.example")), asked, name)
        stats = net.gw.stats()
        equal(stats["resolver.queries"], 4, "questions")
        equal(stats["resolver.cache_hits"], 2, "hits")


@test
def the_host_moves():
    """D-16: a fresh lookup for the next attempt."""
    with Net(lambda sink: {
            "moves.example": {"MX": RR("10 mx.example", 0)},
            "mx.example": {"A": Sequence(Records(own_address(6), ttl=0),
                                         Records(sink, ttl=0))}},
             options=ONCE) as net:
        mid = net.send("x@moves.example")
        equal(net.gw.fate(mid)[0], "deferred", "at the old address")
        mark = net.gw.mark()
        net.gw.ctl("flush", "all", check=0)
        equal(net.gw.fate(mid, since=mark)[0], "delivered", "at the new one")
        net.settle()


@test
def nothing_is_searched_for():
    """D-17: what the environment and a search list say is not heard."""
    with Net(lambda sink: {"a.example": {"MX": "10 mx.a.example"},
                           "mx.a.example": {"A": sink}},
             env={"LOCALDOMAIN": "evil.example", "RES_OPTIONS": "ndots:9",
                  "HOSTALIASES": "/etc/passwd"}) as net:
        net.expect({"a.example": DELIVERED,
                    "missing.example": ("bounced", r"5\.1\.2")})
        names = {q.name for q in net.dns.asked()}
        names = {n for n in names if not n.endswith("in-addr.arpa")}
        equal(names, {"a.example", "mx.a.example", "missing.example"},
              "what was asked")


@test
def international_names():
    """D-19."""
    name = "xn--bcher-kva.example"
    with Net(lambda sink: {name: {"MX": f"10 mx.{name}"},
                           f"mx.{name}": {"A": sink}}) as net:
        net.expect({name: DELIVERED})
        with net.gw.client(helo="client.example") as c:
            c.want("MAIL FROM:<a@client.example>", 250)
            code, text = c.cmd("RCPT TO:<x@b\u00fccher.example>".encode() +
                               b"\r\n")
            assert code in (550, 553), (code, text)
            match(text, r"^5\.(6\.7|1\.3)", "why")


main()
