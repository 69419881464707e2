"""Load for the tests that kill: a gateway that relays and fills a Maildir,
senders that never give up, and the way to settle their books."""
import os
import random
import threading

from postern import *  # noqa: F401,F403

CONF = '''
action out relay to "$hop"
action box maildir "$dir/mail/%{rcpt.user}"$owner
match for domain { "box.example" } action box
match for domain { "example.net" } action out
queue retry 1s
limit rate-per-source 1000000/1m
limit connections-per-source 1000
limit messages-per-connection 100000
limit message-size 5M
'''


def load_gateway(mx):
    return Gateway(CONF, {"hop": mx.hop,
                          "owner": ' user "mail"' if ROOT else ""})


class Sink(MX):
    """A next hop for hours: it keeps what the ledger looks at, no more."""

    def keep(self, mail):
        if b"multipart/report" not in mail.data[:4096]:
            mail.data = mail.data.partition(b"\r\n\r\n")[0]
        super().keep(mail)

    def note(self, verb, text):
        pass

    def gone(self, conn):
        conn.reader.clear.clear()
        super().gone(conn)

    def secured(self, tls):
        pass


class Senders:
    """Clients that send and reconnect until they are told to stop."""

    def __init__(self, gw, ledger, count, name):
        self.gw, self.ledger = gw, ledger
        self.stopped = threading.Event()
        self.acked = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(f"{name}-{i}",),
                                         daemon=True) for i in range(count)]
        for t in self.threads:
            t.start()

    def run(self, name):
        n = 0
        rnd = random.Random(name)
        while not self.stopped.is_set():
            try:
                with self.gw.client(helo="client.example") as c:
                    while not self.stopped.is_set():
                        n += 1
                        size = rnd.choice((0, 2000, 10000, 10000, 400000))
                        rcpts = ["r@example.net"]
                        if n % 3 == 0:
                            rcpts.append("u@box.example")
                        reply = self.ledger.send(c, f"{name}-{n}", size=size,
                                                 rcpts=rcpts)
                        if reply[0] == 250:
                            self.acked.set()
                        if reply[0] == 0:
                            break
            except (OSError, AssertionError):
                # Gone, or refused with a 4xx for a moment.
                self.stopped.wait(0.01)

    def stop(self):
        self.stopped.set()
        for t in self.threads:
            t.join(DEADLINE)
            assert not t.is_alive(), "a client hangs: silence, not a 4xx"


class Load:
    """Clients that connect, send a mail each and go, until told to stop."""

    def __init__(self, gw, ledger, n=4):
        self.gw, self.ledger = gw, ledger
        self.stopping = threading.Event()
        self.errors, self.sent = [], 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(i,))
                        for i in range(n)]
        for t in self.threads:
            t.start()

    def run(self, who):
        n = 0
        while not self.stopping.is_set():
            n += 1
            try:
                with self.gw.client() as c:
                    equal(c.greeting[0], 220, f"greeting: {c.greeting}")
                    c.want("EHLO client.example", 250)
                    reply = self.ledger.send(c, f"load-{who}-{n}")
                    equal(reply[0], 250, f"mail {who}-{n}: {reply}")
            except Exception as e:
                self.errors.append(f"{who}-{n}: {e!r}")
                return
            with self.lock:
                self.sent += 1

    def reach(self, n):
        wait_until(lambda: self.sent >= n or self.errors, "mail to be sent")
        equal(self.errors, [], "clients")

    def more(self, n=20):
        self.reach(self.sent + n)

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join()
        equal(self.errors, [], "clients")


def settle(gw, mx, ledger, duplicates):
    """Everything goes out; then the books must balance."""
    gw.ctl("flush", "all")
    gw.wait_empty()
    return ledger.check(gw, sinks=[mx], maildirs=["u"], duplicates=duplicates)


def sizes(gw):
    """{(role, pid, when it began): (resident KiB, descriptors)}, of those that
    we may look at."""
    found = {}
    for pid in gw.pids():
        try:
            with open(f"/proc/{pid}/status") as f:
                rss = re.search(r"VmRSS:\s+(\d+)", f.read())
            with open(f"/proc/{pid}/stat") as f:
                began = f.read().rsplit(")", 1)[1].split()[19]
            fds = len(os.listdir(f"/proc/{pid}/fd"))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if rss and cmdline(pid):
            found[cmdline(pid)[0], pid, began] = int(rss.group(1)), fds
    return found


def by_role(found):
    """{role: (KiB, descriptors) of the largest}"""
    roles = {}
    for (role, _, _), (rss, fds) in found.items():
        old = roles.get(role, (0, 0))
        roles[role] = max(rss, old[0]), max(fds, old[1])
    return roles
