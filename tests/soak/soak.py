#!/usr/bin/python3
"""Mixed load for hours, a fault every ten seconds: a role dies, everything
dies, the next hop misbehaves. POSTERN_SOAK seconds (make soak: two hours).
Memory and descriptors stay, the books balance."""
import os
import random
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from fakemx import *  # noqa: E402,F401,F403
from load import *  # noqa: E402,F401,F403
from postern import *  # noqa: E402,F401,F403

SECONDS = int(os.environ.get("POSTERN_SOAK", "60"))
INTERVAL = 10


def memory(gw):
    """Resident KiB by role."""
    return {role: rss for role, (rss, _) in by_role(sizes(gw)).items()}


def hop_fails(mx, rnd):
    moment = rnd.choice(("connect", "ehlo", "mail", "rcpt", "data"))
    fault = rnd.choice((Reply("421 4.3.2 down"), Drop(), Reset(),
                        Raw(b"garbage\r\n")))
    with mx.changed:
        mx.faults = {moment: [fault] * 20}


def one_dies(gw, rnd):
    pids = gw.role_pids(rnd.choice(("smtpd", "resolver", "queue", "delivery",
                                    "maildir", "control")))
    if pids:
        os.kill(rnd.choice(pids), signal.SIGKILL)


@test
def soak():
    rnd = random.Random(7)
    mx = Sink()
    ledger = Ledger()
    gw = load_gateway(mx).start()
    senders = Senders(gw, ledger, 4, "soak")
    end = time.monotonic() + SECONDS
    faults = rounds = 0
    while time.monotonic() < end:
        senders.stopped.wait(min(INTERVAL, max(0, end - time.monotonic())))
        rounds += 1
        faults += 1
        if rounds % 20 == 0:
            gw.kill()
            gw.start()
        elif rounds % 2:
            one_dies(gw, rnd)
        else:
            hop_fails(mx, rnd)
        if rounds % 30 == 1:
            print(f"  {len(ledger.acked)} acknowledged, "
                  f"{len(mx.mails())} delivered, KiB {memory(gw)}",
                  flush=True)
    senders.stop()
    with mx.changed:
        mx.faults = {}
    doubles = settle(gw, mx, ledger, faults * 120)
    print(f"  {faults} faults, {len(ledger.acked)} acknowledged, "
          f"{doubles} duplicates, KiB {memory(gw)}")
    gw.stop()
    gw.remove()
    mx.close()


main()
