#!/usr/bin/python3
"""What one source may do is counted over all workers together."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

CONF = '''
action drop discard
match for domain { "example.net" } action drop
workers smtpd 2 delivery 1
'''


@test
def connections_per_source():
    with Gateway(CONF + "limit connections-per-source 10\n"
                 "limit rate-per-source 10000/1m\n") as gw:
        mine, other = own_address(2), own_address(3)
        first = [gw.client(source=mine) for _ in range(10)]
        for c in first:
            equal(c.greeting[0], 220, "below the limit")
        wait_until(lambda: len({l.split("session=")[1].split()[0] for l in
                                gw.log_has(r" connect .*session=")}) == 10,
                   "ten sessions in the log")
        for _ in range(5):
            over = gw.client(source=mine)
            match(over.greeting, r"\(421, '4\.7\.0", "the eleventh")
            over.ended()
        equal(gw.client(source=other).greeting[0], 220, "another source")
        for c in first[:5]:
            c.want("QUIT", 221)
            c.ended()
        gw.wait_log("disconnect", count=5)
        wait_until(lambda: gw.client(source=mine).greeting[0] == 220,
                   "a place again")


@test
def connections_per_subnet():
    """Neighbours share what their network may have."""
    with Gateway(CONF + "limit connections-per-subnet 4\n"
                 "limit rate-per-source 10000/1m\n") as gw:
        first = [gw.client(source=f"127.9.8.{n}") for n in range(1, 5)]
        for c in first:
            equal(c.greeting[0], 220, "below the limit")
        over = gw.client(source="127.9.8.5")
        match(over.greeting, r"\(421, '4\.7\.0.*network", "the fifth")
        over.ended()
        gw.wait_log(r"reject .*why=connections-per-subnet .*127\.9\.8\.5")
        equal(gw.client(source="127.9.7.1").greeting[0], 220, "next door")
        first[0].want("QUIT", 221)
        first[0].ended()
        gw.wait_log("disconnect.*client=127.9.8.1")
        wait_until(lambda: gw.client(source="127.9.8.5").greeting[0] == 220,
                   "a place again")


@test
def rate_per_subnet():
    with Gateway(CONF + "limit rate-per-subnet 3/1h\n") as gw:
        for n in range(1, 4):
            equal(gw.client(source=f"127.9.8.{n}").greeting[0], 220, n)
        for n in range(4, 7):
            match(gw.client(source=f"127.9.8.{n}").greeting,
                  r"\(421, '4\.7\.0.*network", n)
        equal(gw.client(source="127.9.7.1").greeting[0], 220, "next door")


@test
def a_dead_worker_gives_its_places_back():
    with Gateway(CONF + "limit connections-per-source 6\n"
                 "limit rate-per-source 10000/1m\n") as gw:
        mine = own_address(2)
        first = [gw.client(source=mine) for _ in range(6)]
        equal(gw.client(source=mine).greeting[0], 421, "full")
        for pid in gw.role_pids("smtpd"):
            os.kill(pid, signal.SIGKILL)
        for c in first:
            equal(c.line(), None, "the session ended")

        def six():
            """A worker's backlog waits for its successor."""
            try:
                cs = [gw.client(source=mine) for _ in range(6)]
            except OSError:
                return False
            codes = [c.greeting[0] for c in cs]
            for c in cs:
                c.close()
            return codes == [220] * 6
        wait_until(six, "six places")


@test
def rate_per_source():
    with Gateway(CONF + "limit rate-per-source 20/1h\n"
                 "limit connections-per-source 1000\n") as gw:
        mine, other = own_address(2), own_address(3)
        codes = []
        for _ in range(60):
            c = gw.client(source=mine)
            codes.append(c.greeting[0])
            c.close()
        assert 20 <= codes.count(220) <= 40, codes
        equal(codes[-1], 421, "the last")
        equal(gw.client(source=other).greeting[0], 220, "another source")


@test
def rules_by_source():
    mine, other = own_address(2), own_address(3)
    with Gateway(f'table friends {{ {mine}/32 }}\n'
                 'action drop discard\n'
                 'match from source friends for any action drop\n') as gw:
        queued_id(gw.client(source=mine, helo="c.example").mail(
            "a@b.example", "x@anywhere.example", letter("s")))
        c = gw.client(source=other, helo="c.example")
        c.want("MAIL FROM:<a@b.example>", 250)
        c.want("RCPT TO:<x@anywhere.example>", 550)


main()
