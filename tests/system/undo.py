#!/usr/bin/python3
"""What was removed comes back as it was: also after a death at any point."""
from contextlib import closing
import os
import subprocess
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

from fakemx import *  # noqa: E402,F401,F403

CONF = '''
action out relay to $hops
match from any for any action out
'''


def gateway(mx, conf=""):
    return Gateway(CONF + conf, {"hops": f'"{mx.hop}"'})


def one(gw, token="t", rcpts=("x@example.net",), size=0):
    with gw.client(helo="client.example") as c:
        return queued_id(c.mail("s@client.example", list(rcpts),
                                letter(token, size)))


def operation(gw, *args):
    return gw.json(*args)["operation"]


def nowhere(gw, mid):
    """But in the trace, and among the operations."""
    equal([m for m in gw.queue() if m["id"] == mid], [])
    for what in ("message", "headers", "envelope"):
        equal(gw.ctl("show", what, mid)[0], 1, what)
    equal(gw.json("quarantine", "list"), [])
    equal(gw.ctl("hold", mid)[0], 1, "hold")
    equal(gw.ctl("remove", mid)[0], 1, "remove")
    assert any("removed" in (e["event"], e.get("state"))
               for e in gw.json("trace", mid)), gw.json("trace", mid)


@test
def removed_and_back():
    with closing(MX()) as mx, gateway(mx) as gw:
        gw.ctl("pause", "delivery", check=0)
        mid = one(gw, size=3_000_000)
        before = gw.queue()
        mark = gw.mark()
        op = operation(gw, "remove", mid, "reason", "spam")
        nowhere(gw, mid)
        row = gw.json("show", "operations")[-1]
        equal((row["operation"], row["change"], row["uid"], row["changed"],
               row["reason"]), (op, "remove", os.getuid(), 1, "spam"))
        match(row["until"], r"^20\d\d-.*Z$")
        match(gw.ctl("show", "operations", check=0)[1], r"(?m)^\d+ .* remove")
        equal(gw.json("undo", str(op), "--dry-run"),
              {"matched": 1, "changed": 1, "operation": 0})
        nowhere(gw, mid)
        gw.kill()
        gw.start()
        nowhere(gw, mid)
        mark = gw.mark()
        undone = operation(gw, "undo", str(op), "reason", "ham")
        gw.wait_log(rf" queue operation change=undo of={op} "
                    rf"uid={os.getuid()} matched=1 changed=1 "
                    rf"operation={undone} reason=ham", mark)
        gw.wait_log(rf" queue restored .*to=x@example.net removed-by={op}",
                    mark)
        after = gw.queue()
        for m in before + after:
            m.pop("age")
        equal(after, before, "it is as it was")
        code, _, err = gw.ctl("undo", str(op))
        equal(code, 1)
        match(err, f"operation {op} was undone by operation {undone}")
        rows = gw.json("show", "operations")
        equal([(r["change"], r["until"] is None) for r in rows],
              [("remove", True), (f"undo {op}", True)])
        gw.ctl("resume", "delivery", check=0)
        gw.wait_empty()
        equal(len(mx.mails()), 1)
        assert len(mx.mails()[0].data) > 3_000_000


@test
def its_retries_go_on():
    with closing(MX(faults={"rcpt": Reply("451 4.2.0 not now")})) as mx, \
            gateway(mx, "queue retry 1h") as gw:
        mid = one(gw)
        gw.wait_log(rf" deferred .*msg={mid}")
        wait_until(lambda: gw.queue()[0]["state"] == "deferred", "that")
        before, = gw.queue()
        op = operation(gw, "remove", mid)
        gw.ctl("undo", str(op), check=0)
        after, = gw.queue()
        for m in before, after:
            m.pop("age")
        was, is_ = before["recipients"][0], after["recipients"][0]
        assert abs(when(was.pop("next")) - when(is_.pop("next"))) <= 2
        equal(after, before)
        match(is_["reply"], "not now")


def when(text):
    return time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))


@test
def held_stays_held():
    with closing(MX()) as mx, gateway(mx) as gw:
        gw.ctl("pause", "delivery", check=0)
        mid = one(gw)
        gw.ctl("hold", mid, check=0)
        op = operation(gw, "remove", "all", "-y")
        gw.ctl("undo", str(op), check=0)
        equal(gw.queue()[0]["state"], "held")
        op = operation(gw, "release", mid)
        gw.ctl("undo", str(op), check=0)
        equal(gw.queue()[0]["state"], "held")


@test
def refused_by_name():
    with closing(MX()) as mx, gateway(mx, "queue undo 2s") as gw:
        gw.ctl("pause", "delivery", check=0)
        mid = one(gw)
        equal(gw.ctl("undo", "0")[0], 1)
        equal(gw.ctl("undo", "999999")[0], 1)
        equal(gw.ctl("undo", "banana")[0], 2)
        equal(gw.ctl("undo")[0], 2)
        dry = operation(gw, "remove", mid, "--dry-run")
        equal(dry, 0)
        match(gw.ctl("undo", str(dry))[2], "dry run")
        op = operation(gw, "requeue", mid)
        match(gw.ctl("undo", str(op))[2], r"\(requeue\) cannot be undone")
        op = operation(gw, "remove", mid)
        wait_until(lambda: gw.stats()["queue.kept"] == 0, "its end")
        code, _, err = gw.ctl("undo", str(op))
        equal(code, 1)
        match(err, "too long ago|nothing of it")


@test
def nothing_is_kept():
    with closing(MX()) as mx, gateway(mx, "queue undo 0") as gw:
        gw.ctl("pause", "delivery", check=0)
        mid = one(gw, size=3_000_000)
        op = operation(gw, "remove", mid)
        wait_until(lambda: gw.stats()["queue.kept"] == 0, "its end")
        equal(gw.json("show", "operations")[0]["until"], None)
        match(gw.ctl("undo", str(op))[2], "nothing is kept")


@test
def thousands_with_a_queue_that_dies():
    """Killed in the middle of removing and of taking back, again and again:
    nothing is lost, and every id is there once."""
    many = 3000
    with closing(MX()) as mx, gateway(mx) as gw:
        gw.ctl("pause", "delivery", check=0)
        ids = []
        for _ in range(3):
            with gw.client(helo="client.example") as c:
                for i in range(many // 3):
                    ids.append(queued_id(c.mail(
                        "s@client.example", ["x@example.net"],
                        letter(str(i)))))
        equal(len(set(ids)), many)
        for i in range(6):
            mark = gw.mark()
            ctl = subprocess.Popen(
                [f"{gw.build}/posternctl", "-s", gw.control] +
                (["remove", "all", "-y"] if i % 2 == 0 else
                 ["undo", str(undoable(gw)[-1])]),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_until(lambda: gw.log_has(r" queue (removed|restored) ", mark)
                       or ctl.poll() is not None, "a beginning")
            for pid in gw.role_pids("queue"):
                os.kill(pid, signal.SIGKILL)
            gw.wait_log(r" queue recovered ", mark)
            ctl.wait()
            wait_until(lambda: gw.ctl("show", "operations")[0] == 0, "it")
        for op in undoable(gw):
            gw.ctl("undo", str(op))
        equal(sorted(m["id"] for m in gw.queue()), sorted(ids), "all")
        gw.kill()
        gw.start()
        gw.ctl("resume", "delivery", check=0)
        for n in range(many // 6, many + 1, many // 6):  # each has its time
            mx.wait(n)
        gw.wait_empty()
        equal(len(mx.mails()), many)


def undoable(gw):
    return [r["operation"] for r in gw.json("show", "operations")
            if r["until"] is not None]


@test
def found_by_its_trace():
    """When ten thousand later ones are over."""
    with closing(MX()) as mx, gateway(mx) as gw:
        ids = []
        with gw.client(helo="client.example") as c:
            for i in range(50):
                ids.append(queued_id(c.mail(
                    "s@client.example", ["x@example.net"], letter(str(i)))))
        gw.wait_empty()
        for mid in ids:
            events = [e["event"] for e in gw.json("trace", mid)]
            equal((events[0], events[-1]), ("accepted", "delivered"))


if __name__ == "__main__":
    main()
