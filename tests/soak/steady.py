#!/usr/bin/python3
"""Mixed load for hours in which nothing fails: mail in the clear and by TLS,
with AUTH and without, refused, late, failed, big, filtered; clients that are
slow or go away, an administrator who asks, reloads and restarts in place.
POSTERN_SOAK seconds (make soak: two hours). Nobody dies, memory and
descriptors of each process stay, and the books balance."""
import os
import random
import statistics
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from filtered import REJECT, CONTINUE, Filter, add_header  # noqa: E402
from load import *  # noqa: E402,F401,F403
from postern import *  # noqa: E402,F401,F403
from restarted import restart, retired  # noqa: E402
from secured import Secured, TlsPeer  # noqa: E402

SECONDS = int(os.environ.get("POSTERN_SOAK", "60"))
RELOAD, RESTART, SAMPLE = 20, 120, 5
# What a process may grow by, once it is warm (the queue remembers how the last
# 10,000 mails ended), and hold when all is over.
GROWTH_KIB, MORE_FDS = 8192, 8

CONF = '''
http $own_address port $http
milter f socket "$filter"
action box maildir "$dir/mail/%{rcpt.user}"$owner
match from any for domain { "box.example" } action box
queue retry 1s
limit messages-per-connection 100000
limit message-size 5M
limit auth-failures 1000000/1m
'''
LISTENERS = {"mx": "$pkis milters { f }",
             "submission": "$pkis tls-require auth accounts milters { f }",
             "smtps": "$pkis smtps auth accounts"}


class Brief(Filter):
    """Refuses what asks for it, marks the rest, remembers nothing."""

    def __init__(self):
        super().__init__({"mail": lambda e: REJECT if b"refuse" in e.payload
                          else CONTINUE,
                          "eom": add_header("X-Seen", "yes") + CONTINUE})

    def told(self, event):
        found = super().told(event)
        self.forget()
        return found


class Steady(Secured):
    """Of its log what is not about single mails and sessions."""

    def keep_line(self, line):
        if not re.search(r"posternd\[\d+\]: (?!parent )", line):
            super().keep_line(line)


def answers(rnd):
    """Of the next hop: some recipients are late, some are not there."""
    def rcpt(text):
        if "gone" in text:
            return Reply("550 5.1.1 no such user")
        if rnd.random() < 0.03:
            return Reply("450 4.2.1 not now")
    return {"rcpt": rcpt}


# --- what clients do: (the gateway, its ledger, random, a name) ---

def in_the_clear(gw, ledger, rnd, name):
    with gw.plain() as c:
        for i in range(rnd.randrange(1, 6)):
            rcpts = rnd.choice((["r@example.net"], ["u@box.example"],
                                ["r@example.net", "u@box.example"]))
            reply = ledger.send(c, f"{name}-{i}", rcpts=rcpts,
                                size=rnd.choice((0, 2000, 20000)))
            queued_id(reply)
        c.want("QUIT", 221)


def secured(gw, ledger, rnd, name):
    with gw.tls() as c:
        queued_id(ledger.send(c, name, size=rnd.choice((0, 40000))))


def logged_in(gw, ledger, rnd, name):
    user, mechanism = rnd.choice((("luke", "PLAIN"), ("leia", "LOGIN"),
                                  ("yoda", "SCRAM-SHA-256")))
    with gw.tls(rnd.choice(("submission", "smtps")), auth=user,
                mechanism=mechanism) as c:
        queued_id(ledger.send(c, name, rcpts="x@elsewhere.example"))


def wrong_password(gw, ledger, rnd, name):
    with gw.tls("submission") as c:
        equal(c.cmd("AUTH PLAIN " + "AGx1a2UAd3Jvbmc=")[0], 535, "AUTH")
        c.want("QUIT", 221)


def fails_there(gw, ledger, rnd, name):
    with gw.plain() as c:
        queued_id(ledger.send(c, name, sender="s@example.net",
                              rcpts=["gone@example.net", "r@example.net"]))


def refused_here(gw, ledger, rnd, name):
    with gw.plain() as c:
        c.want("MAIL FROM:<refuse@client.example>", 550)
        c.want("MAIL FROM:<a@client.example> SIZE=99999999", 552)
        c.want("MAIL FROM:<a@client.example>", 250)
        c.want("RCPT TO:<x@nowhere.example>", 550)
        c.want("DATA", 503)
        c.want("NONSENSE", 500)
        c.want("QUIT", 221)


def big(gw, ledger, rnd, name):
    with gw.tls() if rnd.random() < 0.3 else gw.plain() as c:
        queued_id(ledger.send(c, name, size=rnd.randrange(300000, 4000000)))


def too_big(gw, ledger, rnd, name):
    with gw.plain() as c:
        equal(ledger.send(c, name, size=5500000)[0], 552, "too big")


def in_chunks(gw, ledger, rnd, name):
    data = letter(name, size=rnd.choice((0, 100000)))
    with ledger.lock:
        ledger.unsure.add(name)
    with gw.plain() as c:
        c.want("MAIL FROM:<a@client.example>", 250)
        c.want("RCPT TO:<r@example.net>", 250)
        half = len(data) // 2
        equal(c.cmd(b"BDAT %d\r\n" % half + data[:half])[0], 250, "BDAT")
        ledger.ack(name, c.cmd(b"BDAT %d LAST\r\n" % (len(data) - half) +
                               data[half:]))


def slow(gw, ledger, rnd, name):
    with gw.plain() as c:
        for _ in range(rnd.randrange(1, 8)):
            for byte in b"NOOP and so on\r\n":
                c.send(bytes([byte]))
                time.sleep(0.05)  # it is what a slow client does
            equal(c.reply()[0], 250, "NOOP")
        queued_id(ledger.send(c, name))


def goes_away(gw, ledger, rnd, name):
    lines = [b"MAIL FROM:<a@client.example>\r\n",
             b"RCPT TO:<r@example.net>\r\n", b"DATA\r\n",
             b"Subject: half\r\n\r\n" + b"x" * 70000]
    c = gw.plain()
    for line in lines[:rnd.randrange(len(lines) + 1)]:
        c.send(line)
        if rnd.random() < 0.7 and not line.startswith(b"Subject"):
            c.reply()
    c.reset() if rnd.random() < 0.5 else c.close()


def leaves_the_handshake(gw, ledger, rnd, name):
    with gw.plain() as c:
        c.want("STARTTLS", 220)
        if rnd.random() < 0.5:
            c.send(b"this is no handshake\r\n")
        else:
            peer = TlsPeer(c.sock)
            c.send(peer.step()[1])
            peer.feed()


def says_nothing(gw, ledger, rnd, name):
    with gw.connect() as c:
        if rnd.random() < 0.5:
            c.send(b"\0\xff\r\n" * rnd.randrange(1, 50))
            c.reply()


def monitor(gw, ledger, rnd, name):
    with socket.create_connection((gw.address, gw.values["http"]),
                                  DEADLINE) as s:
        s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        data = b""
        while True:
            more = s.recv(65536)
            if not more:
                break
            data += more
        match(data, rb"^HTTP/1\.[01] (200|503) ", "metrics")


def administrator(gw, ledger, rnd, name):
    gw.ctl("-j", *rnd.choice((
        ("show", "status"), ("show", "stats"), ("show", "queue"),
        ("show", "sessions"), ("show", "milters"), ("show", "destinations"),
        ("show", "tables"), ("show", "blocks"), ("show", "operations"),
        ("config", "diff"), ("trace", "0000000000000000"),
        ("hold", "from", "nobody@nowhere.example"), ("flush", "all"),
        ("block", "192.0.2.0/24", "for", "1s"), ("pause", "domain",
                                                 "nowhere.example"),
        ("resume", "domain", "nowhere.example"))))


WAYS = [in_the_clear] * 8 + [secured] * 4 + [logged_in] * 3 + \
    [wrong_password, fails_there, fails_there, refused_here, refused_here,
     big, too_big, in_chunks, in_chunks, slow, goes_away, goes_away,
     leaves_the_handshake, says_nothing, monitor, administrator]


class Mixed(Senders):
    """Each does one thing after the other. A restart may cut a session short,
    with a 421; whatever else goes wrong is told."""

    def __init__(self, gw, ledger, count):
        self.errors, self.counts = [], {}
        super().__init__(gw, ledger, count, "mixed")

    def run(self, name):
        rnd = random.Random(name)
        n = 0
        while not self.stopped.is_set():
            n += 1
            way = rnd.choice(WAYS)
            try:
                way(self.gw, self.ledger, rnd, f"{name}-{n}")
                add(self.counts, way.__name__)
            except Exception as e:
                add(self.counts, "cut" if is_farewell(e) else "failed")
                if not is_farewell(e):
                    self.errors.append(f"{name}-{n} {way.__name__}: {e!r}")
            self.stopped.wait(rnd.random() / 20)


def is_farewell(e):
    return isinstance(e, OSError) or \
        re.search(r"\(421, |\(0, ''\)|without close_notify", str(e))


def growing(samples):
    """Who is larger at the end of its life than when it was warm."""
    found = []
    for (role, pid, _), rows in samples.items():
        if len(rows) < 12:
            continue
        third = len(rows) // 3
        warm, last = (statistics.median(r[0] for r in part) for part in
                      (rows[third:2 * third], rows[2 * third:]))
        if last - warm > GROWTH_KIB + warm / 10:
            found.append(f"{role} {pid}: {warm:.0f} KiB, then {last:.0f}")
    return found


def live(gw, senders, samples):
    """SECONDS of it; in the last third nobody is restarted, so that whoever
    grows has the time to show it."""
    begin = time.monotonic()
    seconds = last_reload = last_restart = 0
    while seconds < SECONDS:
        senders.stopped.wait(SAMPLE)
        seconds = time.monotonic() - begin
        for who, row in sizes(gw).items():
            samples.setdefault(who, []).append(row)
        if seconds - last_reload >= RELOAD:
            last_reload = seconds
            gw.ctl("reload", check=0)
        if seconds - last_restart >= RESTART and seconds < SECONDS * 2 / 3:
            last_restart = seconds
            restart(gw)
            print(f"  {seconds:.0f} s: {len(senders.ledger.acked)} "
                  f"acknowledged, {senders.counts}, "
                  f"{by_role(sizes(gw))}", flush=True)


@test
def nothing_grows():
    if not ROOT:
        raise Skip("the roles are not dumpable: only root sees what they hold")
    ledger = Ledger()
    f = Brief()
    mx = Sink(faults=answers(random.Random(3)))
    gw = Steady(CONF, listeners=LISTENERS, values={
        "filter": f.spec, "http": free_port(own_address()),
        "owner": ' user "mail"'})
    gw.mx.close()
    gw.mx = mx
    gw.conf_text = re.sub(r'relay to "[^"]*"', f'relay to "{mx.hop}"',
                          gw.conf_text)
    gw.write_conf()
    with gw:
        with gw.plain() as c:
            queued_id(ledger.send(c, "first"))
        gw.wait_empty()
        at_first = by_role(sizes(gw))
        samples = {}
        senders = Mixed(gw, ledger, 12)
        live(gw, senders, samples)
        senders.stop()
        doubles = settle(gw, mx, ledger, 0)
        wait_until(lambda: not retired(gw), "those retired to end")
        at_end = by_role(sizes(gw))
        print(f"  {len(ledger.acked)} acknowledged, {doubles} duplicates, "
              f"{senders.counts}\n  at first {at_first}\n  at the end {at_end}")
        equal(gw.log_has(r" died "), [], "deaths")
        equal(growing(samples), [], "memory")
        equal(senders.errors, [], "clients")
        wait_until(lambda: all(fds <= at_first[role][1] + MORE_FDS for
                               role, (_, fds) in by_role(sizes(gw)).items()),
                   f"descriptors to be closed: {at_first}, {at_end}")
        f.wait_ended(left=8)
    f.close()
    f.fair()


main()
