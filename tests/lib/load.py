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
                        rcpts = ["r@example.net", "u@box.example"]                             if n % 3 == 0 else ["r@example.net"]
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


def settle(gw, mx, ledger, duplicates):
    """Everything goes out; then the books must balance."""
    gw.ctl("flush", "all")
    gw.wait_empty()
    return ledger.check(gw, sinks=[mx], maildirs=["u"], duplicates=duplicates)
