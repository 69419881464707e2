#!/usr/bin/python3
"""SIGKILL: to everything right after a 250, and to each role under load.
Nothing that was acknowledged is lost, and service goes on."""
import random
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from load import *  # noqa: E402,F401,F403
from postern import *  # noqa: E402,F401,F403

ROUNDS = int(os.environ.get("POSTERN_ROUNDS", "20"))


@test
def everything_right_after_a_250():
    mx = MX()
    ledger = Ledger()
    gw = load_gateway(mx)
    # Deliveries in flight at a kill may come twice: one batch each time.
    allowed = 0
    gw.start()
    for n in range(ROUNDS):
        senders = Senders(gw, ledger, 4, f"k{n}")
        c = gw.client(helo="last.example")
        for i in range(random.randrange(1, 20)):
            reply = ledger.send(c, f"last{n}-{i}")
        queued_id(reply)  # and the very next thing is:
        gw.kill()
        senders.stop()
        c.close()
        allowed += 120
        gw.start()
        ledger.check(gw, sinks=[mx], maildirs=["u"], duplicates=allowed)
    doubles = settle(gw, mx, ledger, allowed)
    print(f"  {ROUNDS} rounds, {len(ledger.acked)} acknowledged, "
          f"{doubles} duplicates")
    equal(gw.stop(), 0, "exit code")
    gw.remove()
    mx.close()


def each_role(role):
    mx = MX()
    ledger = Ledger()
    with load_gateway(mx) as gw:
        senders = Senders(gw, ledger, 4, role)
        for n in range(3):
            senders.acked.clear()
            assert senders.acked.wait(DEADLINE), f"no mail before kill {n}"
            dead = []
            wait_until(lambda: dead.extend(gw.role_pids(role)) or dead,
                       f"a {role} to kill")
            for pid in dead:
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: len(gw.role_pids(role)) >= len(dead) and
                       not set(gw.role_pids(role)) & set(dead),
                       f"{role} to be back")
        senders.acked.clear()
        assert senders.acked.wait(DEADLINE), "no mail afterwards"
        senders.stop()
        wait_until(lambda: max((p["restarts"] for p in
                                gw.json("show", "status")["processes"]
                                if p["role"] == role), default=0) >= 3,
                   f"three restarts of {role}")
        doubles = settle(gw, mx, ledger, 3 * 120)
        print(f"  {role}: {len(ledger.acked)} acknowledged, "
              f"{doubles} duplicates")
    mx.close()


@test
def smtpd_under_load():
    each_role("smtpd")


@test
def resolver_under_load():
    each_role("resolver")


@test
def queue_under_load():
    each_role("queue")


@test
def delivery_under_load():
    each_role("delivery")


@test
def maildir_under_load():
    each_role("maildir")


@test
def control_under_load():
    each_role("control")


@test
def children_end_with_their_parent():
    mx = MX()
    with load_gateway(mx) as gw:
        pids = gw.pids()
        os.kill(pids[0], signal.SIGKILL)
        wait_gone(pids)
        gw.proc.wait()
        gw.start()
        ledger = Ledger()
        ledger.send(gw.client(helo="c.example"), "after")
        mx.wait()
        gw.wait_empty()
        ledger.check(gw, sinks=[mx])
    mx.close()


@test
def a_second_gateway_on_the_same_spool_is_refused():
    mx = MX()
    with load_gateway(mx) as gw:
        p = subprocess.run(gw.command("-d"), stdin=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, timeout=DEADLINE)
        assert p.returncode != 0, "it started"
        gw.client(helo="c.example").want("NOOP", 250)
    mx.close()


def flip(path, offset):
    with open(path, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)
        f.seek(offset)
        f.write(bytes([byte[0] ^ 0x40]))


@test
def damage_met_at_delivery_holds_that_mail_alone():
    mx = MX(faults={"connect": Reply("421 4.3.2 not now")})
    ledger = Ledger()
    with load_gateway(mx) as gw:
        c = gw.client(helo="c.example")
        for name in ("before", "damaged", "behind"):
            ledger.send(c, name, size=5000)
        # Held: nobody reads them between the start and the damage.
        gw.ctl("hold", "all", check=0)
        wait_until(lambda: [m["state"] for m in gw.queue()] == ["held"] * 3,
                   "all to be held")
        # Read from the disk, not from the cache.
        gw.kill()
        gw.start()
        log = f"{gw.dir}/spool/log"
        for name in os.listdir(log):
            with open(f"{log}/{name}", "rb") as f:
                at = f.read().find(b"X-Token: damaged")
            if at != -1:
                flip(f"{log}/{name}", at)
                where = f"{log}/{name}", at
        with mx.changed:
            mx.faults.clear()
        equal(gw.json("release", "all")["changed"], 3, "released")
        mx.wait(2)
        wait_until(lambda: [m["state"] for m in gw.queue()] == ["held"],
                   "the damaged one to be held")
        ledger.check(gw, sinks=[mx])
        # Healed, it goes out.
        flip(*where)
        gw.ctl("release", "all", check=0)
        mx.wait(3)
        gw.wait_empty()
        ledger.check(gw, sinks=[mx])
    mx.close()


@test
def a_clean_stop_under_load_loses_nothing():
    mx = MX()
    ledger = Ledger()
    gw = load_gateway(mx)
    gw.start()
    for n in range(5):
        senders = Senders(gw, ledger, 4, f"stop{n}")
        assert senders.acked.wait(DEADLINE), "no mail"
        equal(gw.stop(), 0, "exit code")
        senders.stop()
        gw.start()
    doubles = settle(gw, mx, ledger, 0)
    equal(doubles, 0, "duplicates after clean stops")
    gw.stop()
    gw.remove()
    mx.close()


main()
