"""Many domains, one in ten of them dead, slow or refusing: what that means
for the others."""
import random
import re
import statistics
import subprocess
import sys
import threading
import time

import postern as pt
from world import kind

DOMAINS = 1000
EACH = 10
RATE = 500  # mails a second
SENDERS = 5
CONF = '''
action out relay port $port
match for any action out
limit rate-per-source 1000000/1s
limit messages-per-connection 1000000
workers smtpd 1 delivery 1
'''
BODY = b"Subject: x\r\n\r\n" + b"0123456789abcde\r\n" * 60 + b".\r\n"
DELIVERED = re.compile(
    r" queue delivered .*to=x@d(\d+)\.example .*delay=([0-9.]+)")


class World:
    def __init__(self):
        here = __file__.rsplit("/", 1)[0]
        self.proc = subprocess.Popen(
            [sys.executable, f"{here}/world.py", str(DOMAINS)],
            stdout=subprocess.PIPE, start_new_session=True)
        self.dns, self.port = self.proc.stdout.readline().split()

    def stop(self):
        self.proc.kill()
        self.proc.wait()


class Sender(threading.Thread):
    """Sends its share, each mail at its time."""

    def __init__(self, gw, start, share):
        super().__init__(daemon=True)
        self.client = gw.client(helo="client.example")
        self.begin, self.share = start, share
        self.error = None

    def run(self):
        try:
            for due, domain in self.share:
                time.sleep(max(0, self.begin + due - time.monotonic()))
                self.mail(domain)
        except (AssertionError, OSError) as e:
            self.error = e

    def mail(self, domain):
        c = self.client
        c.send(f"MAIL FROM:<s@client.example>\r\n"
               f"RCPT TO:<x@d{domain}.example>\r\nDATA\r\n")
        for code in (250, 250, 354):
            pt.equal(c.reply()[0], code, "reply")
        c.send(BODY)
        pt.queued_id(c.reply())


def run(build, with_bad):
    """Delivery times (ms) of the mails to good domains."""
    world = World()
    try:
        gw = pt.Gateway(f"resolver 127.0.0.1 port {world.dns.decode()} "
                        "timeout 3s\n" + CONF, {"port": world.port.decode()},
                        build=build, log_to_file=True)
        with gw:
            return measure(gw, with_bad)
    finally:
        world.stop()


def measure(gw, with_bad):
    order = list(range(DOMAINS)) * EACH
    random.Random(1).shuffle(order)
    # Without the bad ones their turns stay empty: the same load of good.
    plan = [(i / RATE, d) for i, d in enumerate(order)
            if with_bad or kind(d) == "good"]
    good = sum(kind(d) == "good" for _, d in plan)
    start = time.monotonic() + 0.5
    senders = [Sender(gw, start, plan[i::SENDERS]) for i in range(SENDERS)]
    for s in senders:
        s.start()
    for s in senders:
        s.join()
        if s.error:
            raise s.error
    gw.wait_stat("delivery.delivered", good)
    with open(f"{gw.dir}/log") as f:
        times = [float(m.group(2)) * 1000 for m in
                 map(DELIVERED.search, f) if m]
    pt.equal(len(times), good, "mails delivered")
    return times


def spread(build, runs):
    print(f"\n{DOMAINS * EACH} mails to {DOMAINS} domains, {RATE} a second; "
          "with one domain in ten dead,\nslow or refusing, and without these: "
          "delivery time of the others in ms", flush=True)
    found = {False: [], True: []}
    for _ in range(runs):
        for with_bad in (False, True):
            found[with_bad] += run(build, with_bad)
    for with_bad, times in found.items():
        times.sort()
        print(f"{'with' if with_bad else 'without':8} median "
              f"{statistics.median(times):7.1f}   90 % "
              f"{times[len(times) * 9 // 10]:7.1f}   99 % "
              f"{times[len(times) * 99 // 100]:7.1f}   most {times[-1]:7.1f}")
    a, b = (statistics.median(found[k]) for k in (True, False))
    print(f"median with / without: {a / max(b, 0.1):.2f}", flush=True)
