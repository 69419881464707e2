#!/usr/bin/python3
"""What the gateway knows of its filters: breaker, balancing, limits,
back-pressure, the dialer, and what an administrator sees of them."""
import threading
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

from filtered import *  # noqa: E402,F401,F403

ONE = "workers smtpd 1 delivery 1\n"


@test
def breaker():
    """Left alone after some failures in a row, probed with one session, and
    back."""
    f = Filter(listen=False)
    with Filtered({"f": (f, "failures 3 rest 4s")}, before=ONE) as gw:
        for n in range(3):
            equal(gw_mail(gw)[0], 451, "down")
        gw.wait_filter("f", lambda m: m["state"] == "resting", "resting")
        f.listen()
        before = gw.of_filter("f")
        equal(gw_mail(gw)[0], 451, "resting")
        equal(f.total, 0, "asked while it rests")
        assert gw.of_filter("f")["skipped"] > before.get("skipped", 0)
        # The first that is let through finds it well.
        wait_until(lambda: gw_mail(gw)[0] == 250, "a probe")
        gw.wait_filter("f", lambda m: m["state"] == "up", "up")
        taken(gw.one())
        gw.wait_log(r"(?i)milter.*(rest|alone)")


@test
def breaker_probes_with_one():
    """While one session probes a filter that hangs, others do not wait."""
    f = Filter({"negotiate": Cut()})
    with Filtered({"f": (f, "failures 2 rest 500ms on-failure accept")},
                  before=ONE) as gw:
        for n in range(2):
            taken(gw.one())
        gw.wait_filter("f", lambda m: m["state"] == "resting", "resting")
        f.script = {"negotiate": Silent()}
        f.forget()
        probe = threading.Thread(target=prober, args=(gw, f), daemon=True)
        probe.start()
        assert f.stalled.wait(DEADLINE)
        equal(gw.of_filter("f")["state"], "probing", "state")
        asked = len(f.seen("negotiate"))
        for n in range(5):
            taken(gw.one())
        equal(len(f.seen("negotiate")), asked, "others asked it")
        f.vanish()
        probe.join(DEADLINE)


def prober(gw, f):
    while not f.seen("negotiate"):
        gw.one("probe")


def gw_mail(gw):
    with gw.client(helo="c.example") as c:
        got = c.cmd("MAIL FROM:<a@b.example>")
        c.cmd("QUIT")
        return got


@test
def balanced_over_its_sockets():
    fs = [Filter(), Filter(kind="inet"), Filter()]
    with Filtered({"f": fs}, before=ONE) as gw:
        clients = [gw.client(helo="c.example") for _ in range(9)]
        for c in clients:
            c.want("MAIL FROM:<a@b.example>", 250)
        equal([f.total for f in fs], [3, 3, 3], "connections")
        for c in clients:
            c.close()
        for f in fs:
            f.wait_ended()


@test
def fails_over():
    """One of two is gone: nobody notices, and it is used again later."""
    one, two = Filter(), Filter(listen=False)
    with Filtered({"f": ([one, two], "failures 2 rest 500ms")},
                  before=ONE) as gw:
        for n in range(6):
            taken(gw.one())
        equal(len(one.seen("eom")), 6, "asked")
        m = gw.of_filter("f")
        states = {s["socket"]: s["state"] for s in m["sockets"]}
        equal(states[one.spec], "up", "the one")
        two.listen()
        one.vanish()

        def both():
            return gw_mail(gw)[0] == 250 and two.seen("mail")
        wait_until(both, "the other one")


@test
def connections_are_limited():
    """No more than N at once; who finds none gets what on-failure
    means, or 421 when he comes."""
    f = Filter()
    with Filtered({"f": (f, "connections 3")}, before=ONE) as gw:
        clients = []
        codes = []
        for n in range(6):
            c = gw.client(greet=False, source=own_address(2))
            got = c.reply()
            if got[0] == 220:
                c.want("EHLO c.example", 250)
                got = c.cmd("MAIL FROM:<a@b.example>")
            codes.append(got[0])
            clients.append(c)
        assert codes[:2] == [250, 250], codes
        assert all(x in (421, 451) for x in codes[3:]), codes
        assert f.total <= 3, f.total
        for c in clients:
            c.close()
        f.wait_ended()
        taken(gw.one())


@test
def back_pressure():
    """Filters are busy: newcomers get 421, those known to be good are let
    in, and it shows."""
    go = threading.Event()
    f = Filter()
    new = own_address(3)
    with Filtered({"f": f}, before=ONE + "limit filtering 4\n") as gw:
        f.script = {"eom": lambda e: When(go, CONTINUE)}
        busy = []
        for n in range(4):
            c = gw.client(helo="c.example", source=new)
            c.want("MAIL FROM:<a@b.example>", 250)
            busy.append(c)
        stats = gw.stats()
        equal(stats["smtpd.filtering"], 4, "smtpd.filtering")
        with gw.client(source=new) as c:
            # Loopback is an inner source: it has a reserve, of one.
            equal(c.greeting[0], 220, "the reserve")
            c.want("EHLO c.example", 250)
            c.want("MAIL FROM:<a@b.example>", 250)
            with gw.client(source=new) as d:
                equal(d.greeting[0], 421, "a newcomer")
                match(d.greeting[1], r"^4\.3\.2 ", "text")
                d.ended()
        assert gw.stats()["smtpd.filtering_refused"] >= 1, gw.stats()
        assert "smtpd.filtering_capacity" in gw.stats()
        for c in busy:
            c.close()
        go.set()
        gw.wait_stat("smtpd.filtering", 0)
        f.script = {}
        taken(gw.one())


@test
def show_milters():
    f = Filter(actions=ADDHDRS | QUARANTINES, steps=NO["helo"] | CAN_SKIP)
    with Filtered({"f": (f, "on-failure accept")}, before=ONE) as gw:
        f.script = {"eom": [add_header("X", "1") + CONTINUE, REJECT, TEMPFAIL,
                            DISCARD, quarantine("why") + CONTINUE, Cut()]}
        for n in range(7):
            gw.one()
        gw.wait_filter("f", lambda m: m["sessions"] == 0, "no session")
        m = gw.of_filter("f")
        equal(m["on_failure"], "accept", "on_failure")
        equal(m["shadow"], False, "shadow")
        equal([s["socket"] for s in m["sockets"]], [f.spec], "sockets")
        for word in ("reject", "tempfail", "discard", "quarantine"):
            equal(m["verdicts"].get(word), 1, f"verdicts: {word} in {m}")
        equal(m["failures"], 1, "failures")
        equal(m["version"], 6, "version")
        assert m["latency_ms"]["p50"] is not None and \
            m["latency_ms"]["p99"] >= m["latency_ms"]["p50"], m
        text = gw.ctl("show", "milters", check=0)[1]
        for word in ("f", f.spec, "reject", "quarantine"):
            assert word in text, text
        stats = gw.stats()
        assert any(k.startswith("milter.f.") for k in stats), stats
        # A session that is there is counted.
        with gw.client(helo="c.example") as c:
            c.want("MAIL FROM:<a@b.example>", 250)
            equal(gw.of_filter("f")["sessions"], 1, "sessions")


@test
def several_workers_are_added_up():
    f = Filter()
    with Filtered({"f": f}, before="workers smtpd 2 delivery 1\n") as gw:
        for n in range(12):
            taken(gw.one())
        m = gw.of_filter("f")
        equal(len(gw.json("show", "milters")), 1, "rows")
        equal(m["verdicts"].get("accept", 0) +
              m["verdicts"].get("continue", 0), 12, "verdicts")


@test
def the_log_has_each_verdict():
    f = Filter({"eom": add_header("X", "1") + CONTINUE})
    with Filtered({"f": f}) as gw:
        mid = taken(gw.one())
        line = gw.wait_log(rf" milter .*msg={mid}|msg={mid}.* milter ")
        for what in ("name=f", "stage=", "verdict=", "ms=", "addheader=1",
                     "session="):
            assert what in line, (what, line)
        f.script = {"mail": reply("550 5.7.1 no such \"quoted\" luck")}
        gw_mail(gw)
        line = gw.wait_log(r" milter .*stage=mail")
        match(line, r"verdict=reject", "verdict")
        gw.wait_log(r" reject .*stage=mail|stage=mail.* reject")


@test
def trace():
    a, b = Filter(), Filter()
    a.script = {"eom": add_header("X", "1") + CONTINUE}
    b.script = {"eom": quarantine("smells") + CONTINUE}
    with Filtered({"a": a, "b": b}) as gw:
        mid = taken(gw.one())
        found = gw.events(mid)
        equal({e["event"] for e in found} >= {"accepted", "milter",
                                             "quarantined"}, True,
              f"events {found}")
        milters = [e for e in found if e["event"] == "milter"]
        equal([e.get("name") for e in milters], ["a", "b"], f"{milters}")
        assert all("time" in e for e in found), found
        text = gw.ctl("trace", mid, check=0)[1]
        for word in ("accepted", "milter", "addheader=1", "smells"):
            assert word in text, text
        b.script = {}
        mid = taken(gw.one("two"))
        gw.mx.wait()
        wait_until(lambda: any(e["event"] == "delivered"
                               for e in gw.events(mid)), "delivered")
        equal(gw.ctl("trace", "0" * 16)[0], 1, "no such mail")


@test
def test_milter():
    f = Filter()
    f.script = {"eom": add_header("X-Tested", "yes") +
                replace_body(b"new\r\n") + CONTINUE}
    mail = b"From: a@b.example\r\nSubject: t\r\n\r\nold\r\n"
    with Filtered({"f": f}, "") as gw:
        code, out, err = gw.ctl(
            "test", "milter", "f", "client", "192.0.2.7", "helo",
            "tested.example", "from", "s@b.example", "to", "r@example.net",
            stdin=mail)
        equal(code, 0, f"{out}{err}")
        for word in ("X-Tested: yes", "new", "addheader=1"):
            assert word in out, out
        equal(f.seen("helo")[0].strings, ["tested.example"], "helo")
        equal(f.seen("mail")[0].strings[0], "<s@b.example>", "MAIL")
        equal(f.seen("rcpt")[0].strings[0], "<r@example.net>", "RCPT")
        assert b"192.0.2.7" in f.seen("connect")[0].payload
        equal(f.seen("eom")[0].headers,
              [(b"From", b"a@b.example"), (b"Subject", b"t")], "headers")
        # Bare line ends, as files have them.
        code, out, err = gw.ctl("test", "milter", "f",
                                stdin=mail.replace(b"\r\n", b"\n"))
        equal(code, 0, f"{out}{err}")
        f.script = {"eom": reply("550 5.7.1 infected")}
        code, out, err = gw.ctl("test", "milter", "f", stdin=mail)
        assert "reject" in out and "infected" in out, (code, out, err)
        equal(gw.ctl("test", "milter", "nobody", stdin=mail)[0], 1,
              "no such filter")
        f.vanish()
        code, out, err = gw.ctl("test", "milter", "f", stdin=mail)
        assert code == 1 or "fault" in out, (code, out, err)
        equal((gw.queue(), gw.mx.mails()), ([], []), "nothing was sent")


@test
def reload():
    """Filters come and go; sessions keep what they began with."""
    a, b = Filter(), Filter()
    with Filtered({"a": a, "b": b}, "{ a }") as gw:
        taken(gw.one())
        old = gw.client(helo="c.example")
        verdicts = gw.of_filter("a")["verdicts"]
        gw.conf_text = gw.conf_text.replace("milters { a }", "milters { b }")
        gw.write_conf()
        gw.ctl("reload", check=0)
        taken(gw.one())
        equal((len(a.seen("eom")), len(b.seen("eom"))), (1, 1), "asked")
        taken(old.mail("a@b.example", "x@example.net", letter("old")))
        equal((len(a.seen("eom")), len(b.seen("eom"))), (2, 1), "the old one")
        old.close()
        assert sum(gw.of_filter("a")["verdicts"].values()) > \
            sum(verdicts.values()), "counters are kept"
        gw.conf_text = gw.conf_text.replace("milters { b }", "")
        gw.write_conf()
        gw.ctl("reload", check=0)
        taken(gw.one())
        equal((len(a.seen("eom")), len(b.seen("eom"))), (2, 1), "none")
        # Wrong: the old one stays.
        gw.conf_text += "match for any action out milters { nobody }\n"
        gw.write_conf()
        equal(gw.ctl("reload")[0], 1, "an unknown filter")
        taken(gw.one())


@test
def a_dead_dialer():
    """Sessions that have their filter go on; it comes back by itself."""
    f = Filter()
    with Filtered({"f": f}) as gw:
        c = gw.client(helo="c.example")
        c.want("MAIL FROM:<a@b.example>", 250)
        pids = gw.role_pids("dialer")
        equal(len(pids), 1, "dialers")
        os.kill(pids[0], signal.SIGKILL)
        c.want("RCPT TO:<x@example.net>", 250)
        c.want("DATA", 354)
        c.send(letter("t") + b".\r\n")
        taken(c.reply())
        wait_until(lambda: [p for p in gw.role_pids("dialer")
                            if p not in pids], "a new one")
        wait_until(lambda: gw.outcome()[0] == 250, "filters again")
        roles = [p["role"] for p in gw.json("show", "status")["processes"]]
        assert "dialer" in roles, roles


@test
def a_stopped_dialer():
    """It hangs: time limits hold."""
    f = Filter()
    with Filtered({"f": (f, "connect-timeout 500ms")}) as gw:
        pid = gw.role_pids("dialer")[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            equal(gw_mail(gw)[0], 451, "no connection")
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: gw_mail(gw)[0] == 250, "filters again")


@test
def by_name():
    """Of a filter's host, from the resolver."""
    f = Filter(kind="inet")
    host, port = f.address
    names = DNS(hosts({"filter.example.net": host}))
    f.spec = f"inet:{port}@filter.example.net"
    with Filtered({"f": f}, conf=names.conf()) as gw:
        taken(gw.one())
        equal(len(f.seen("eom")), 1, "asked")
    names.close()


@test
def thousands_of_mails_leave_nothing():
    """No descriptor and no session is left over, whatever happened."""
    f = Filter()
    with Filtered({"f": (f, "failures 100000")}, before=ONE) as gw:
        taken(gw.one())
        pid = gw.role_pids("smtpd")[0]
        gw.wait_filter("f", lambda m: m["sessions"] == 0, "no session")
        fds = len(os.listdir(f"/proc/{pid}/fd"))
        ways = [{}, {"mail": REJECT}, {"eom": Cut()}, {"negotiate": Cut()},
                {"eom": replace_body(b"x\r\n") + CONTINUE},
                {"eom": Cut(replace_body(b"y" * 300000))}, {"rcpt": DISCARD}]
        for n in range(140):
            f.script = ways[n % len(ways)]
            c = gw.client(helo="c.example")
            for line in ("MAIL FROM:<a@b.example>", "RCPT TO:<x@example.net>",
                         "DATA", letter("t") + b".\r\n")[:n % 5]:
                c.cmd(line)
            c.close()
        f.script = {}
        gw.wait_filter("f", lambda m: m["sessions"] == 0, "no session")
        wait_until(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= fds,
                   "descriptors to go")


main()
