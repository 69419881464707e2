#!/usr/bin/python3
"""show sessions: who is connected, how far, and that many of them stop
nobody."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

CONF = '''
workers smtpd 2
limit connections-per-source 3000 rate-per-source 100000/1m
action drop discard
match from any for any action drop
'''
KEYS = {"session", "client", "port", "helo", "state", "tls", "auth", "age",
        "messages"}


@test
def one():
    with Gateway(CONF) as gw:
        equal(gw.json("show", "sessions"), [])
        with gw.client(source="127.9.6.1") as c:
            row, = gw.json("show", "sessions")
            equal(KEYS - set(row), set(), "keys")
            equal((row["client"], row["port"], row["helo"], row["state"],
                   row["tls"], row["auth"], row["messages"], row["peer"]),
                  ("127.9.6.1", c.sock.getsockname()[1], None, "command",
                   None, None, 0, "127.9.6.1"))
            equal(row["listener"], f"{gw.address}:{gw.port}")
            gw.wait_log(rf" smtpd connect session={row['session']} ")
            c.want("EHLO c.example", 250)
            c.mail("a@b.example", "x@y.example", letter("1"))
            c.want("BANANA", 500)
            row, = gw.json("show", "sessions")
            equal((row["helo"], row["messages"], row["errors"]),
                  ("c.example", 1, 1))
            c.want("MAIL FROM:<a@b.example>", 250)
            c.want("RCPT TO:<x@y.example>", 250)
            c.want("DATA", 354)
            row, = gw.json("show", "sessions")
            equal(row["state"], "data")
            match(gw.ctl("show", "sessions", check=0)[1],
                  rf"(?m)^{row['session']} .* data +127\.9\.6\.1 "
                  r"helo=c\.example errors=1$")
        wait_until(lambda: gw.json("show", "sessions") == [], "none")


@test
def of_all_workers():
    with Gateway(CONF) as gw:
        clients = [gw.client() for _ in range(40)]
        rows = gw.json("show", "sessions")
        equal(len(rows), 40)
        equal(len({r["session"] for r in rows}), 40)
        equal({r["port"] for r in rows},
              {c.sock.getsockname()[1] for c in clients})
        for c in clients:
            c.close()


@test
def many_of_them():
    """More than the channel takes at once; sessions come and go meanwhile."""
    # So many are stress, and whoever waits is not to be sent away.
    with Gateway(CONF + "limit connections 3000 stress-timeout 1h\n") as gw:
        helo = ".".join(["h" * 50] * 4)
        clients = [gw.client(helo=helo) for _ in range(2500)]
        staying = {c.sock.getsockname()[1] for c in clients[500:]}
        done = threading.Event()

        def hurry():
            for c in clients[:500]:
                c.close()
                if done.is_set():
                    break
                gw.client().close()
        other = threading.Thread(target=hurry)
        other.start()
        for _ in range(5):
            rows = gw.json("show", "sessions")
            equal(staying - {r["port"] for r in rows}, set(), "all")
            equal(len({r["session"] for r in rows}), len(rows), "once each")
        done.set()
        other.join()
        for c in clients[500:]:
            c.close()


@test
def stress():
    """Patience is short, and who is there goes on; it is said and counted."""
    with Gateway(CONF + "limit connections 20 stress 50 stress-errors 2 "
                 "errors 10 soft-errors 9 error-delay 0s\n") as gw:
        first = gw.client(helo="c.example")
        first.want("BANANA", 500)
        first.want("BANANA", 500)
        others = [gw.client() for _ in range(11)]
        gw.wait_log(r" smtpd stress on=1 why=sessions percent=\d+")
        wait_until(lambda: gw.stats()["smtpd.stress"] > 0, "the number")
        equal(first.mail("a@b.example", "x@y.example", letter("1"))[0], 250)
        for c in others:
            c.close()


if __name__ == "__main__":
    main()
