"""What a well-behaved client feels of one source that misbehaves: from MAIL
to the last reply, with the limits as they are by default."""
import subprocess
import sys
import time

import postern as pt
from lib import SIZE, Sink

KINDS = ("nothing", "slow", "many", "errors", "all")
RATE = 50  # mails a second
SECONDS = 20
CONF = '''
action out relay to "smtp://127.0.0.1:$sink"
match for domain { "example.net" } action out
workers smtpd 1 delivery 1
'''


def client(gw):
    return gw.client(helo="client.example", source=pt.own_address(2))


def latencies(gw):
    """Of a client that sends at a steady pace, sorted, in ms."""
    data = pt.letter("t", SIZE)
    times = []
    begin = time.monotonic()
    c = client(gw)
    for n in range(RATE * SECONDS):
        time.sleep(max(0, begin + n / RATE - time.monotonic()))
        if n % 200 == 199:
            c.close()
            c = client(gw)
        start = time.monotonic()
        got = c.mail("s@client.example", "r@example.net", data)
        times.append((time.monotonic() - start) * 1000)
        pt.queued_id(got)
    c.close()
    return sorted(times)


def one(args, kind):
    port = pt.free_port("127.0.0.1")
    sink = Sink(port)
    gw = pt.Gateway(CONF, {"sink": port}, build=args.b, log_to_file=True)
    bad = None
    try:
        with gw:
            if kind != "nothing":
                bad = subprocess.Popen(
                    [sys.executable, f"{__file__.rsplit('/', 1)[0]}"
                     "/misbehave.py", kind, gw.address, str(gw.port),
                     pt.own_address(3)])
                before = gw.stats()["smtpd.connections"]
                pt.wait_until(lambda: gw.stats()["smtpd.connections"] >
                              before + 15, "the first of its sessions")
            times = latencies(gw)
            turned_away = gw.stats()["smtpd.limit_source"]
            if bad:
                bad.kill()
                bad.wait()
                bad = None
            return times, turned_away
    finally:
        if bad:
            bad.kill()
            bad.wait()
        sink.stop()


def abuse(args):
    print(f"\na well-behaved client, {RATE} mails a second, beside one "
          f"source that misbehaves\n{'that does':10} {'p50 ms':>8} "
          f"{'p90 ms':>8} {'p99 ms':>8} {'most ms':>8} {'turned away':>12}")
    found = {}
    for _ in range(args.r):
        for kind in KINDS:
            times, away = one(args, kind)
            row = found.setdefault(kind, [[], 0])
            row[0] += times
            row[1] += away
    for kind, (times, away) in found.items():
        times.sort()
        at = [times[int(len(times) * p)] for p in (0.5, 0.9, 0.99)]
        found[kind].append(at[2])
        print(f"{kind:10} {at[0]:8.2f} {at[1]:8.2f} {at[2]:8.2f} "
              f"{times[-1]:8.1f} {away:12}", flush=True)
    print("p99 beside undisturbed: " + ", ".join(
        f"{k} {found[k][2] / found['nothing'][2]:.2f}" for k in KINDS[1:]),
        flush=True)
