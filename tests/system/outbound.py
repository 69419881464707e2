#!/usr/bin/python3
"""Remote servers (faults C.5): what relay.py does not have yet, and VRFY on
the way out."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

CONF = '''
action out relay to $hops$vrfy
match for domain { "example.net" } action out
queue retry $retry
'''


def brief(*steps):
    """For those that are waited for in vain, and no others: a peer that only
    hesitates is waited for."""
    return "".join(f"deliver {s}-timeout 1s\n" for s in steps)


class Net:
    """A gateway, and next hops that are tried in order."""

    def __init__(self, *mxs, conf="", vrfy=False, retry="1h"):
        self.mxs = mxs
        self.ledger = Ledger()
        self.gw = Gateway(CONF + conf, {
            "hops": " ".join(f'"{m.hop if isinstance(m, MX) else m}"'
                             for m in mxs),
            "vrfy": " vrfy" if vrfy else "", "retry": retry})

    def __enter__(self):
        self.gw.start()
        return self

    def __exit__(self, kind, value, tb):
        if kind is None:
            self.gw.remove()
        for m in self.mxs:
            if isinstance(m, MX):
                m.close()

    def send(self, *rcpts, token="t", data=None, params=""):
        rcpts = rcpts or ("x@example.net",)
        with self.gw.client(helo="client.example") as c:
            # No sender: what fails is told by the log alone.
            reply = c.mail("", rcpts, data or letter(token), params)
            self.ledger.ack(token, reply, len(rcpts))
            return queued_id(reply)

    def goes(self, event, pattern="", **kw):
        """One mail, and what has to become of it."""
        mid = self.send(**kw)
        got, line = self.gw.fate(mid)
        match(got, f"^({event})$", line)
        match(line, pattern, "the reply")
        return line

    def balance(self):
        """For mail of which nothing has failed for good."""
        self.ledger.check(self.gw, sinks=[m for m in self.mxs
                                          if isinstance(m, MX)])


@test
def a_black_hole():
    """O-1: nobody answers the SYN; the next address is tried."""
    hole = socket.socket()
    hole.bind((own_address(3), 0))
    hole.listen(0)
    address = hole.getsockname()
    full = []
    while len(full) < 10:  # the queue of connections fills up
        s = socket.socket()
        s.setblocking(False)
        full.append(s)
        s.connect_ex(address)
    good = MX()
    conf = brief("connect")
    with Net(f"smtp://{address[0]}:{address[1]}", good, conf=conf) as net:
        net.goes("delivered", re.escape(good.address))
        net.balance()
    with Net(f"smtp://{address[0]}:{address[1]}", conf=conf) as net:
        net.goes("deferred", r"4\.4\.[12]")
        net.balance()
    for s in [hole, *full]:
        s.close()


@test
def a_window_that_closes():
    """O-2: it says 354 and reads no more."""
    mx = MX(faults={"data": Deaf("354 go on")})
    with Net(mx, conf="limit message-size 50M\n" +
             brief("data-block")) as net:
        net.goes("deferred", r"4\.4\.2", data=letter("t", 20 << 20))
        net.balance()


@test
def a_reply_in_drips():
    """O-3: each byte in time, the whole reply is not."""
    for moment, step in (("connect", "greeting"), ("ehlo", "helo"),
                         ("mail", "mail"), ("rcpt", "rcpt"),
                         ("data", "data-init"), ("dot", "data-end")):
        with Net(MX(faults={moment: Drip("250 2.0.0 as slow as can be"
                                         if moment != "connect" else
                                         "220 mx.sink.example ESMTP")}),
                 conf=brief(step)) as net:
            net.goes("deferred", r"4\.4\.2")


@test
def closed_behind_our_dot():
    """O-5: it may have arrived. Said so, and no haste."""
    for how in (Drop(), Reset(), Drop(b"25")):
        mx = MX(faults={"dot": [how]})
        with Net(mx, retry="1s") as net:
            line = net.goes("deferred", "")
            match(line, "possible-duplicate=yes", "the log")
            (m,) = net.gw.queue()
            due = m["recipients"][0]["next"]
            wait = time.mktime(time.strptime(due[:19], "%Y-%m-%dT%H:%M:%S")) \
                - time.timezone - time.time()
            assert wait > 280, f"the next attempt in {wait:.0f} s"
            net.gw.ctl("flush", "all", check=0)
            net.gw.wait_log("queue delivered .*possible-duplicate=yes")
            net.gw.wait_empty()
            net.ledger.check(net.gw, sinks=[mx], duplicates=1)


@test
def four_two_one_between_commands():
    """O-7: who was answered keeps his answer."""
    def rcpt(text):
        if "gone" in text:
            return Reply("550 5.1.1 no such user")
        return Reply("421 4.3.2 going down") if "late" in text else None
    mx = MX(faults={"rcpt": rcpt}, extensions=("SIZE 1000000",))
    with Net(mx) as net:
        mid = net.send("gone@example.net", "late@example.net",
                       "after@example.net")
        for to, want in (("gone", "bounced"), ("late", "deferred"),
                         ("after", "deferred")):
            equal(net.gw.fate(mid, f"{to}@example.net")[0], want, to)
        equal(mx.mails(), [], "mails")
    # Unasked for, behind the greeting.
    mx = MX(faults={"ehlo": Reply("250-mx\r\n250 SIZE 1000000\r\n"
                                  "421 4.3.2 idle for too long")})
    with Net(mx) as net:
        net.goes("deferred", "")
        net.balance()


@test
def greetings_that_refuse():
    """O-8: the next one is asked; a bounce only when all say so."""
    no = {"connect": Reply("554 5.7.1 not from you")}
    good = MX()
    with Net(MX(faults=no), good) as net:
        net.goes("delivered", re.escape(good.address))
    with Net(MX(faults=no), MX(faults=no)) as net:
        net.goes("bounced|deferred", "554 5.7.1")
    with Net(MX(faults=no), MX(faults={
            "connect": Reply("421 4.3.2 later")})) as net:
        net.goes("deferred", "")
        net.balance()


@test
def five_five_two_as_too_many():
    """O-10: behind accepted ones it is about the number."""
    seen = []

    def rcpt(text):
        seen.append(text)
        return Reply("552 too many recipients") if len(seen) == 3 else None
    mx = MX(faults={"rcpt": rcpt})
    with Net(mx, retry="1s") as net:
        net.send("a@example.net", "b@example.net", "c@example.net")
        mails = mx.wait(2)
        equal(sorted(r for m in mails for r in m.rcpts),
              ["a@example.net", "b@example.net", "c@example.net"], "all")
        net.gw.wait_empty()
        net.ledger.check(net.gw, sinks=[mx])


@test
def replies_out_of_step():
    """O-11: nothing is guessed; the connection ends."""
    for faults in ({"data": Reply("250 what data?")},
                   {"mail": Reply("250 ok\r\n250 and one more\r\n250 more")},
                   {"mail": Reply("354 go on already")},
                   {"rcpt": Reply("354 go on already")},
                   {"dot": Reply("354 more")}, {"ehlo": Reply("354 hello")},
                   {"connect": Reply("354 mx")}):
        mx = MX(faults=faults)
        with Net(mx) as net:
            net.goes("deferred", r"4\.\d\.\d")
            assert not [m for m in mx.mails() if b"MAIL" in m.data], faults


@test
def limits_of_a_reply():
    """O-12: 100 lines, 4 KiB each, 64 KiB in all; just within is fine."""
    for name, text, ok in (
            ("99 lines", "250-x\r\n" * 98 + "250 ok", True),
            ("200 lines", "250-x\r\n" * 199 + "250 ok", False),
            ("a long line", "250 " + "x" * 2000, True),
            ("too long a line", "250 " + "x" * 5000, False)):
        with Net(MX(faults={"mail": Reply(text)})) as net:
            net.goes("delivered" if ok else "deferred", "")


@test
def ehlo_that_lies():
    """O-14."""
    words = [f"X-WORD{i} with some arguments" for i in range(60)]
    mx = MX(extensions=["SIZE", "SIZE 1000000", "SIZE abc", "8BITMIME",
                        "8BITMIME now", "PIPELINING", "PIPELINING", "", "-",
                        *words])
    with Net(mx) as net:
        net.goes("delivered", "")
    # No pipelining whatever it says: the replies come one by one.
    mx = MX(extensions=("PIPELINING", "SIZE 1000000"))
    with Net(mx) as net:
        for i in range(3):
            net.goes("delivered", "", token=f"p{i}")
        net.balance()
    mx = MX(extensions=("PIPELINING", "8BITMIME"))
    with Net(mx) as net:
        with net.gw.client(helo="client.example") as c:
            mid = queued_id(c.mail("", "j\u00f6rg@example.net",
                                   letter("u"), " SMTPUTF8"))
        event, line = net.gw.fate(mid)
        equal(event, "bounced", line)
        match(line, r"5\.6\.7", "why")
        equal(mx.mails(), [], "mails")


@test
def a_thousand_keywords():
    """O-14: beyond the limit of a reply; HELO or later, never a crash."""
    mx = MX(extensions=[f"X-{i}" for i in range(1000)])
    with Net(mx) as net:
        pids = net.gw.role_pids("delivery")
        event, line = net.gw.fate(net.send())
        assert event in ("deferred", "delivered"), line
        equal(net.gw.role_pids("delivery"), pids, "the same process")


@test
def replies_before_commands():
    """O-13: what was said before we asked is no answer."""
    early = "220 mx.sink.example\r\n250 mx\r\n250 ok\r\n250 ok\r\n354 go\r\n" \
            "250 2.0.0 taken"
    mx = MX(faults={"connect": Reply(early)})
    with Net(mx) as net:
        net.goes("deferred", "")
        equal(mx.mails(), [], "mails")
        net.balance()


@test
def tarpits():
    """O-16: fifty hosts that never answer slow nobody else down."""
    good = MX()
    tar = MX(address=own_address(3), faults={"connect": Stall()})
    conf = f'''
table ways {{ "good.example" = "{good.hop}",
  {", ".join(f'"t{i}.example" = "{tar.hop}"' for i in range(50))} }}
action mapped relay to ways
match for domain ways action mapped
deliver greeting-timeout 5m
limit rate-per-source 100000/1m
'''
    gw = Gateway(conf)
    with gw:
        with gw.client(helo="client.example") as c:
            for i in range(50):
                for n in range(10):
                    queued_id(c.mail("", f"x{n}@t{i}.example", letter("t")))
            for n in range(100):
                queued_id(c.mail("", f"x{n}@good.example", letter(f"g{n}")))
        # All of them, while every tarpit holds on.
        good.wait(100)
        assert tar.stalled.wait(DEADLINE)
        equal(tar.mails(), [], "mails")
    good.close()
    tar.close()


@test
def greylisting():
    """O-17: 450 first, then taken, without a report."""
    mx = MX(faults={"rcpt": [Reply("450 4.7.1 greylisted for 1 second")]})
    with Net(mx, retry="1s") as net:
        net.send()
        mx.wait()
        net.gw.wait_empty()
        net.balance()
        equal(len(net.gw.log_has("queue deferred")), 1, "attempts in vain")


@test
def rset_and_quit_that_stall():
    """O-2: the mail is delivered; only the connection is lost."""
    mx = MX(faults={"rset": Stall(), "quit": Stall()})
    with Net(mx, conf="deliver idle-timeout 0\n" + brief("quit")) as net:
        for i in range(3):
            net.goes("delivered", "", token=f"q{i}")
        net.balance()


# --- VRFY ---

def verbs(mx, *which):
    return [f"{v} {t}".strip() for v, t in mx.commands
            if not which or v in which]


def answers(table):
    """VRFY answered by the local part."""
    def vrfy(text):
        return Reply(table.get(text.partition("@")[0], "252 2.1.5 maybe"))
    return {"vrfy": vrfy}


@test
def vrfy_before_mail():
    mx = MX(faults=answers({
        "gone": "550 5.1.1 no such user", "moved": "551 5.1.6 elsewhere",
        "here": "250 2.1.5 <here@example.net>", "will": "251 will forward",
        "busy": "450 4.2.1 busy", "odd": "553 5.1.3 what a name"}))
    names = ("gone", "moved", "here", "will", "busy", "odd", "maybe")
    with Net(mx, vrfy=True) as net:
        mid = net.send(*[f"{n}@example.net" for n in names])
        for n in ("gone", "moved"):
            event, line = net.gw.fate(mid, f"{n}@example.net")
            equal(event, "bounced", line)
            match(line, "55[01] 5.1.", n)
        for n in names[2:]:
            equal(net.gw.fate(mid, f"{n}@example.net")[0], "delivered", n)
        equal(sorted(mx.wait()[0].rcpts),
              sorted(f"{n}@example.net" for n in names[2:]), "RCPT")
        said = verbs(mx)
        equal(said[1:8], [f"vrfy {n}@example.net" for n in names],
              "VRFY each, first")
        match(said[8], "^mail ", "then MAIL")
        assert not [t for t in verbs(mx, "rcpt") if "gone" in t], said


@test
def vrfy_leaves_nobody():
    """No MAIL then; the connection serves the next mail."""
    mx = MX(faults=answers({"gone": "550 5.1.1 no such user"}))
    with Net(mx, vrfy=True, conf="workers delivery 1\n") as net:
        mid = net.send("gone@example.net")
        equal(net.gw.fate(mid)[0], "bounced", "gone")
        equal(verbs(mx, "mail", "rcpt", "data"), [], "a transaction")
        mid = net.send("here@example.net", token="here")
        equal(net.gw.fate(mid)[0], "delivered", "here")
        equal(mx.total, 1, "connections")


@test
def vrfy_that_is_not_there():
    """5xx about the verb: on without it, for this connection."""
    for code in ("500 5.5.1 what?", "501 5.5.4 no arguments",
                 "502 5.5.1 not implemented", "503 5.5.1 not now",
                 "504 5.5.4 no"):
        mx = MX(faults={"vrfy": Reply(code)})
        with Net(mx, vrfy=True, conf="workers delivery 1\n") as net:
            mid = net.send("a@example.net", "b@example.net")
            for n in "ab":
                equal(net.gw.fate(mid, f"{n}@example.net")[0], "delivered",
                      code)
            equal(len(verbs(mx, "vrfy")), 1, f"{code}: VRFYs")
            net.goes("delivered", token="next")
            equal(len(verbs(mx, "vrfy")), mx.total, "once a connection")
            net.balance()


@test
def vrfy_that_is_not_allowed():
    """A no by policy is no word about the recipient."""
    mx = MX(faults={"vrfy": Reply("550 5.7.1 VRFY disallowed")})
    with Net(mx, vrfy=True) as net:
        net.goes("delivered", "")
        net.balance()


@test
def vrfy_and_trouble():
    for fault, event in ((Reply("421 4.3.2 bye"), "deferred"),
                         (Drop(), "deferred"), (Reset(), "deferred"),
                         (Stall(), "deferred"),
                         (Raw(b"hello\r\n"), "deferred"),
                         (Endless(b"250-x\r\n"), "deferred")):
        mx = MX(faults={"vrfy": fault})
        with Net(mx, vrfy=True, conf=brief("rcpt")) as net:
            net.goes(event, "")
            equal(mx.mails(), [], "mails")
            net.balance()


@test
def vrfy_only_where_it_is_wanted():
    mx = MX()
    with Net(mx) as net:
        net.goes("delivered", "")
        equal(verbs(mx, "vrfy"), [], "VRFYs")


@test
def vrfy_of_utf8_addresses():
    mx = MX()
    with Net(mx, vrfy=True) as net:
        mid = net.send("j\u00f6rg@example.net", params=" SMTPUTF8")
        equal(net.gw.fate(mid)[0], "delivered", "it")
        equal(verbs(mx, "vrfy"), ["vrfy j\u00f6rg@example.net SMTPUTF8"],
              "VRFY")


main()
