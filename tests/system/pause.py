#!/usr/bin/python3
"""What stands still: nobody is let in, nothing leaves, or not for one domain;
drained."""
from contextlib import closing
import os
import subprocess
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from filtered import LIMITS  # noqa: E402

from fakemx import *  # noqa: E402,F401,F403

CONF = LIMITS + '''
workers smtpd 2
listen on socket "$dir/run/submit.sock"
action out relay to $hops
match from any for any action out
'''


def gateway(mx, conf=""):
    return Gateway(CONF + conf, {"hops": f'"{mx.hop}"'})


def greeted(gw):
    with gw.client() as c:
        return c.greeting[0]


def everywhere(gw, want):
    """Both workers say so."""
    wait_until(lambda: {greeted(gw) for _ in range(12)} == {want},
               f"the greeting {want}")


def one(gw, to="x@example.net", token="t"):
    with gw.client(helo="client.example") as c:
        return queued_id(c.mail("s@client.example", [to], letter(token)))


def paused(gw):
    return gw.json("show", "status")["paused"]


@test
def smtp():
    with closing(MX()) as mx, gateway(mx) as gw:
        equal(paused(gw), [])
        everywhere(gw, 220)
        idle = gw.client(helo="idle.example")
        busy = gw.client(helo="busy.example")
        busy.want("MAIL FROM:<s@client.example>", 250)
        mark = gw.mark()
        equal(gw.json("pause", "smtp", "reason", "a new disk"),
              {"what": "smtp", "paused": True, "changed": 1})
        gw.wait_log(rf' queue pause what=smtp uid={os.getuid()} '
                    r'reason="a new disk"', mark)
        equal(gw.json("pause", "smtp")["changed"], 0, "twice")
        equal(idle.reply()[0], 421, "who did nothing")
        idle.ended()
        everywhere(gw, 421)
        with gw.client() as c:
            match(c.greeting[1], r"^4\.3\.2 ")
            c.ended()
        # Whoever is at something finishes that, and no more.
        busy.want("RCPT TO:<x@example.net>", 250)
        busy.want("DATA", 354)
        busy.send(letter("busy") + b".\r\n")
        equal(busy.reply()[0], 250, "its mail")
        equal(busy.reply()[0], 421, "and that was it")
        busy.ended()
        wait_until(lambda: len(mx.mails()) == 1, "the delivery")
        code = gw.ctl("send", "-f", "s@client.example", "x@example.net",
                      stdin=letter("submit"))[0]
        assert code != 0, "the submit socket"
        equal(paused(gw), ["smtp"])
        match(gw.ctl("show", "status", check=0)[1], r"(?m)^paused smtp\b")
        equal(gw.json("resume", "smtp"),
              {"what": "smtp", "paused": False, "changed": 1})
        everywhere(gw, 220)
        equal(gw.ctl("resume", "smtp")[0], 1, "it is not")
        one(gw)
        wait_until(lambda: len(mx.mails()) == 2, "the delivery")


@test
def smtp_survives():
    """A worker and the queue that die, and a restart."""
    with closing(MX()) as mx, gateway(mx) as gw:
        gw.ctl("pause", "smtp", check=0)
        everywhere(gw, 421)
        mark = gw.mark()
        os.kill(gw.role_pids("queue")[0], signal.SIGKILL)
        gw.wait_log(r" queue recovered ", mark)
        everywhere(gw, 421)
        for pid in gw.role_pids("smtpd"):
            os.kill(pid, signal.SIGKILL)
        everywhere(gw, 421)
        gw.kill()
        mark = gw.mark()
        gw.start()
        gw.wait_log(rf" queue paused what=smtp uid={os.getuid()} ", mark)
        everywhere(gw, 421)
        gw.ctl("resume", "smtp", check=0)
        equal(gw.stop(), 0)
        gw.start()
        everywhere(gw, 220)
        equal(paused(gw), [])


@test
def delivery():
    with closing(MX()) as mx, gateway(mx) as gw:
        gw.ctl("pause", "delivery", check=0)
        ids = [one(gw, token=str(i)) for i in range(20)]
        equal([m["state"] for m in gw.queue()], ["active"] * 20)
        row, = gw.json("show", "destinations")
        equal((row["queued"], row["active"], row["paused"]), (20, 0, True))
        match(gw.ctl("show", "destinations", check=0)[1], r"(?m)^20 .* paused ")
        gw.ctl("flush", "all", check=0)
        gw.kill()
        gw.start()
        equal(sorted(m["id"] for m in gw.queue()), sorted(ids),
              "they are all there")
        equal(mx.mails(), [], "nothing left")
        equal(gw.stats()["queue.pauses"], 1)
        gw.ctl("resume", "delivery", check=0)
        gw.wait_empty()
        equal(len(mx.mails()), 20)


@test
def a_domain():
    with closing(MX()) as mx, gateway(mx) as gw:
        gw.ctl("pause", "domain", "Example.ORG.", "reason", "they asked",
               check=0)
        equal(paused(gw), ["domain example.org"])
        held = one(gw, "x@EXAMPLE.org")
        other = one(gw, "x@example.net")
        equal(gw.fate(other)[0], "delivered", "the other")
        wait_until(lambda: [m["id"] for m in gw.queue()] == [held], "one")
        equal(gw.ctl("pause", "domain", "a b")[0], 1, "no domain")
        equal(gw.ctl("pause", "domain")[0], 2, "none at all")
        equal(gw.ctl("pause", "everything")[0], 2, "nonsense")
        equal(gw.ctl("resume", "domain", "example.net")[0], 1)
        gw.ctl("resume", "domain", "example.org", check=0)
        gw.wait_empty()
        equal(len(mx.mails()), 2)


@test
def mail_expires_and_is_reported():
    """The report goes: only its domain rests."""
    with closing(MX()) as mx, gateway(
            mx, "queue ttl 2s\nqueue retry 1s\n") as gw:
        gw.ctl("pause", "domain", "example.net", check=0)
        mid = one(gw)
        gw.wait_log(rf" queue expired .*msg={mid}")
        wait_until(lambda: len(mx.mails()) == 1, "the report")
        equal(mx.mails()[0].rcpts, ["s@client.example"])


def drain(gw, *args):
    return subprocess.Popen([f"{gw.build}/posternctl", "-s", gw.control,
                             "drain", *args], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@test
def drained():
    with closing(MX()) as mx, gateway(mx) as gw:
        gw.ctl("pause", "delivery", check=0)
        held = one(gw, token="held")
        gw.ctl("hold", held, check=0)
        for i in range(5):
            one(gw, token=str(i))
        # It would never end.
        code, _, err = gw.ctl("drain")
        equal(code, 1)
        match(err, "delivery is paused")
        equal(paused(gw), ["delivery"])
        gw.ctl("resume", "delivery", check=0)
        code, out, err = gw.ctl("drain", "reason", "moving")
        equal(code, 0, err)
        equal(out, "drained, 1 held are left\n")
        equal(paused(gw), ["smtp"])
        equal(len(mx.mails()), 5)
        equal([m["id"] for m in gw.queue()], [held])
        equal(gw.json("drain"), {"drained": True, "held": 1,
                                 "quarantined": 0})


@test
def drained_in_vain():
    """Interrupted it leaves all as it is."""
    with closing(MX(faults={"rcpt": Reply("451 4.2.0 not now")})) as mx, \
            gateway(mx, "queue retry 1h") as gw:
        one(gw)
        proc = drain(gw)
        while True:
            line = proc.stderr.readline()
            assert line, "it ended"
            if " deferred" in line:
                break
        proc.send_signal(signal.SIGINT)
        proc.communicate()
        equal(proc.returncode, -signal.SIGINT)
        equal(paused(gw), ["smtp"])


@test
def drained_against():
    """Somebody else lets mail in again, or keeps it from leaving."""
    against = (("resume", "smtp", "smtp was resumed meanwhile"),
               ("pause", "domain", "domain example.net is paused"))
    with closing(MX(faults={"rcpt": Reply("451 4.2.0 not now")})) as mx, \
            gateway(mx, "queue retry 1h") as gw:
        one(gw)
        for verb, what, said in against:
            proc = drain(gw)
            while " deferred" not in proc.stderr.readline():
                assert proc.poll() is None, "it ended"
            gw.ctl(verb, what, *["example.net"] * (what == "domain"), check=0)
            out, err = proc.communicate(timeout=DEADLINE)
            equal(proc.returncode, 1)
            equal(out, "")
            match(err, said)


@test
def drained_by_another_queue():
    """It dies meanwhile, and the one behind it goes on."""
    with closing(MX(faults={"rcpt": Reply("451 4.2.0 not now")})) as mx, \
            gateway(mx, "queue retry 1h") as gw:
        one(gw)
        proc = drain(gw)
        while " deferred" not in proc.stderr.readline():
            assert proc.poll() is None, "it ended"
        old, = gw.role_pids("queue")
        os.kill(old, signal.SIGSTOP)
        while "not there" not in proc.stderr.readline():
            assert proc.poll() is None, "it ended"
        os.kill(old, signal.SIGKILL)
        mx.faults.clear()
        # Whether the new one still waits for the retry of before, or tries at
        # once because the old one did not come to write that down, is chance.
        wait_until(lambda: gw.ctl("flush", "all") and proc.poll() is not None,
                   "the end of drain")
        out, err = proc.communicate(timeout=DEADLINE)
        equal((proc.returncode, out), (0, "drained\n"), err)


if __name__ == "__main__":
    main()
