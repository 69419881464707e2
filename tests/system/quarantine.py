#!/usr/bin/python3
"""What filters set aside: kept, shown, released, refused, asked again."""
import calendar
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

from filtered import *  # noqa: E402,F401,F403

ASIDE = quarantine("it smells") + CONTINUE


def one_aside(gw, f, token="t", **kw):
    f.script = {"eom": [ASIDE]}
    mid = taken(gw.one(token, **kw))
    wait_until(lambda: mid in [m["id"] for m in gw.quarantined()],
               "quarantine list")
    return mid


def when(row, key):
    return calendar.timegm(time.strptime(row[key][:19], "%Y-%m-%dT%H:%M:%S"))


@test
def listed_and_shown():
    f = Filter()
    with Filtered({"f": f}) as gw:
        equal(gw.quarantined(), [], "empty")
        mid = one_aside(gw, f, rcpts=["x@example.net", "y@example.net"])
        row = gw.quarantined()[0]
        equal((row["id"], row["from"], row["filter"], row["reason"]),
              (mid, "s@client.example", "f", "it smells"), "row")
        equal(sorted(r["to"] if isinstance(r, dict) else r
                     for r in row["recipients"]),
              ["x@example.net", "y@example.net"], "recipients")
        days = (when(row, "expires") - when(row, "since")) / 86400
        assert 29.9 < days < 30.1, row
        m = [m for m in gw.queue() if m["id"] == mid][0]
        equal(m["state"], "quarantined", "state")
        equal({r["state"] for r in m["recipients"]}, {"quarantined"}, "rcpts")
        match(m["recipients"][0]["reply"], "it smells", "reply")
        equal(gw.stats()["queue.quarantined"] >= 1, True, "stats")
        code, out, _ = gw.ctl("quarantine", "show", mid)
        equal(code, 0, "show")
        for word in (mid, "it smells", "f", "s@client.example"):
            assert word in out, (word, out)
        assert "hello t" in gw.ctl("show", "message", mid, check=0)[1]
        assert "it smells" in gw.ctl("quarantine", "list", check=0)[1]
        equal(gw.ctl("quarantine", "show", "0" * 16)[0], 1, "no such")
        equal(gw.mx.mails(), [], "delivered")


@test
def by_every_filter_of_the_listing():
    f, g = Filter(), Filter()
    with Filtered({"f": f, "g": g}) as gw:
        one = one_aside(gw, f, "one", sender="one@client.example")
        two = one_aside(gw, g, "two", sender="two@client.example")
        plain = ("show", "queue")
        for terms, want in ((("milter", "f"), [one]), (("milter", "g"), [two]),
                            (("not", "milter", "f"), [two]),
                            (("state", "quarantined"), [one, two]),
                            (("not", "state", "quarantined"), []),
                            (("from", "one@client.example"), [one]),
                            (("id", two), [two]), (("limit", "1"), [one])):
            for command in (plain, ("quarantine", "list")):
                equal([m["id"] for m in gw.json(*command, *terms)], want,
                      f"{command} {terms}")


@test
def the_other_changes_leave_it_alone():
    f = Filter()
    with Filtered({"f": f}) as gw:
        mid = one_aside(gw, f)
        for command in (("flush", mid), ("hold", "id", mid),
                        ("release", "id", mid), ("requeue", "id", mid)):
            gw.ctl(*command)
            equal([m["id"] for m in gw.quarantined()], [mid], f"{command}")
        equal(gw.mx.mails(), [], "delivered")
        equal(gw.json("remove", "id", mid)["changed"], 1, "remove")
        wait_until(lambda: gw.quarantined() == [], "gone")


@test
def released():
    f = Filter()
    with Filtered({"f": f}) as gw:
        mid = one_aside(gw, f)
        dry = gw.json("quarantine", "release", mid, "--dry-run")
        equal((dry["matched"], dry["operation"]), (1, 0), "dry")
        equal(len(gw.quarantined()), 1, "still there")
        equal(gw.json("quarantine", "release", mid, "reason",
                      "was fine")["changed"], 1, "release")
        unchanged(gw.mx.wait()[0].data, letter("t"))
        equal(gw.quarantined(), [], "list")
        gw.wait_log("was fine")  # the reason
        equal(gw.ctl("quarantine", "release", mid)[0], 1, "twice")
        gw.wait_empty()


@test
def removed():
    f = Filter()
    with Filtered({"f": f}) as gw:
        one, two = one_aside(gw, f, "one"), one_aside(gw, f, "two")
        equal(gw.json("quarantine", "remove", one)["changed"], 1, "remove")
        equal([m["id"] for m in gw.quarantined()], [two], "the other")
        equal(gw.ctl("quarantine", "show", one)[0], 1, "show")
        equal(gw.mx.mails(), [], "mails")


@test
def rejected():
    """Its sender is told, once; not for the empty one."""
    conf = 'match for domain { "client.example" } action out\n'
    f = Filter()
    with Filtered({"f": f}, conf=conf) as gw:
        mid = one_aside(gw, f)
        equal(gw.json("quarantine", "reject", mid, "reason",
                      "550 5.7.1 no thanks")["changed"], 1, "reject")
        report = gw.mx.wait()[0]
        equal((report.sender, report.rcpts), ("", ["s@client.example"]), "to")
        assert b"no thanks" in report.data, report.data
        assert b"Action: failed" in report.data, report.data
        mid = one_aside(gw, f, "null", sender="")
        gw.json("quarantine", "reject", mid)
        gw.wait_empty()
        equal(len(gw.mx.mails()), 1, "reports")


@test
def asked_again():
    """With the session it came in; what the filters now say is done."""
    f = Filter()
    with Filtered({"f": f}) as gw:
        mid = one_aside(gw, f, "passes", params=" BODY=8BITMIME",
                        helo="scanned.example")
        first = {e.moment: e for e in f.seen()}
        f.forget()
        f.script = {"eom": [add_header("X-Scan", "2") +
                            replace_body(b"clean\r\n") + CONTINUE]}
        equal(gw.json("quarantine", "rescan", mid)["matched"], 1, "rescan")
        _, rcpts, found, body = gw.delivered()
        equal((rcpts, found[-1], body),
              (["x@example.net"], b"X-Scan: 2", b"clean\r\n"), "delivered")
        again = {e.moment: e for e in f.seen()}
        for moment in ("connect", "helo", "mail", "rcpt"):
            equal(again[moment].payload, first[moment].payload, moment)
        for k in ("{client_addr}", "{client_name}", "{daemon_port}", "j"):
            equal(again["connect"].macros.get(k),
                  first["connect"].macros.get(k), k)
        equal(again["mail"].macros["i"], mid, "i")
        equal(again["eom"].headers, first["eom"].headers, "headers")
        gw.wait_empty()


@test
def asked_again_with_other_answers():
    conf = 'match for domain { "client.example" } action out\n'
    f = Filter()
    with Filtered({"f": f}, conf=conf) as gw:
        mid = one_aside(gw, f, "stays")
        f.script = {"eom": [quarantine("worse now") + CONTINUE]}
        gw.json("quarantine", "rescan", mid)
        wait_until(lambda: gw.quarantined()[0]["reason"] == "worse now",
                   "the new reason")
        f.script = {"eom": [DISCARD]}
        gw.json("quarantine", "rescan", mid)
        wait_until(lambda: gw.quarantined() == [], "dropped")
        gw.wait_empty()
        equal(gw.mx.mails(), [], "mails")
        mid = one_aside(gw, f, "refused")
        f.script = {"eom": [reply("554 5.6.9 it is bad")]}
        gw.json("quarantine", "rescan", mid)
        report = gw.mx.wait()[0]
        equal(report.rcpts, ["s@client.example"], "reported to")
        assert b"it is bad" in report.data, report.data
        gw.wait_empty()
        # A filter that fails: it stays.
        mid = one_aside(gw, f, "later")
        f.script = {"eom": Cut()}
        gw.json("quarantine", "rescan", mid)
        gw.wait_log(rf" milter .*fault=.*msg={mid}|msg={mid}.*fault=")
        equal(len(gw.mx.mails()), 1, "mails")
        assert mid in [m["id"] for m in gw.queue()], "lost"


@test
def a_large_one():
    """Its body is in a file: released, and asked again with a new header and
    a new body."""
    f = Filter()
    data = letter("large", 3000000)
    with Filtered({"f": f}) as gw:
        one = one_aside(gw, f, data=data)
        equal(gw.json("quarantine", "release", one)["changed"], 1, "release")
        unchanged(gw.mx.wait()[0].data, data)
        two = one_aside(gw, f, data=data)
        f.forget()
        f.script = {"eom": [add_header("X-Scan", "2") + CONTINUE]}
        gw.json("quarantine", "rescan", two)
        _, _, found, body = gw.delivered(2)
        equal((found[-1], body), (b"X-Scan: 2", split(data)[1]), "new header")
        three = one_aside(gw, f, data=data)
        new = (b"n" * 70 + b"\r\n") * 9000
        f.script = {"eom": [replace_body(new) + CONTINUE]}
        gw.json("quarantine", "rescan", three)
        equal(gw.delivered(3)[3], new, "new body")
        gw.wait_empty()


@test
def by_a_rule():
    """`quarantine ACTION`: by that action once released."""
    with Filtered({}, "", 'action out relay to "$hop"\n'
                  'match for domain { "example.net" } quarantine out\n',
                  relay=False) as gw:
        mid = taken(gw.one())
        wait_until(lambda: [m["id"] for m in gw.quarantined()] == [mid],
                   "list")
        equal(gw.json("quarantine", "release", mid)["changed"], 1, "release")
        unchanged(gw.mx.wait()[0].data, letter("t"))


@test
def expires():
    f = Filter()
    with Filtered({"f": f}, before="queue quarantine-ttl 1s\n") as gw:
        f.script = {"eom": [ASIDE]}
        mid = taken(gw.one())
        gw.wait_log(rf" queue quarantined .*msg={mid}")
        gw.wait_log(rf"expired .*msg={mid}")
        wait_until(lambda: gw.quarantined() == [], "gone")
        equal(gw.mx.mails(), [], "mails")
        gw.wait_empty()


@test
def never_expires():
    f = Filter()
    with Filtered({"f": f}, before="queue quarantine-ttl 0\n") as gw:
        one_aside(gw, f)
        equal(gw.quarantined()[0]["expires"], None, "expires")


def same(got, want, what, began):
    """But for their times: what is left of one counts from the last record
    before an end that nobody announced."""
    passed = time.monotonic() - began + 2
    for a, b in zip(got, want):
        for key in ("since", "expires"):
            assert abs(when(a, key) - when(b, key)) <= passed, (a, b)
    plain = [[{k: v for k, v in m.items() if k not in ("since", "expires")}
              for m in rows] for rows in (got, want)]
    equal(plain[0], plain[1], what)


@test
def survives():
    """A stop and a start; SIGKILL; and a SIGKILL of the queue alone."""
    f = Filter()
    began = time.monotonic()
    with Filtered({"f": f}) as gw:
        mids = [one_aside(gw, f, f"t{n}", data=letter(f"t{n}", size))
                for n, size in enumerate((0, 100000, 400000))]
        before = gw.quarantined()
        gw.stop()
        gw.start()
        same(gw.quarantined(), before, "after a stop", began)
        gw.kill()
        gw.start()
        same(gw.quarantined(), before, "after SIGKILL", began)
        os.kill(gw.role_pids("queue")[0], signal.SIGKILL)
        wait_until(lambda: gw.ctl("quarantine", "list")[0] == 0, "the queue")
        same(gw.quarantined(), before, "after the queue's end", began)
        f.script = {"eom": [CONTINUE]}
        f.forget()
        gw.json("quarantine", "rescan", mids[0])
        gw.mx.wait()
        equal(f.seen("helo")[0].strings, ["client.example"], "its context")
        equal(gw.json("quarantine", "release", "state",
                      "quarantined")["changed"], 2, "release")
        gw.mx.wait(3)
        gw.kill()
        gw.start()
        equal(gw.quarantined(), [], "released is released")


@test
def usage():
    f = Filter()
    with Filtered({"f": f}) as gw:
        mid = one_aside(gw, f)
        equal(gw.ctl("quarantine")[0], 2, "usage")
        equal(gw.ctl("quarantine", "bogus", mid)[0], 2, "usage")
        equal(gw.ctl("quarantine", "release")[0], 2, "which?")
        equal(len(gw.quarantined()), 1, "nothing happened")
        # Nothing but what is quarantined is meant, whatever is to be done.
        gw.ctl("pause", "delivery", check=0)
        equal(gw.json("quarantine", "release", mid)["changed"], 1, "released")
        for verb in ("release", "reject", "rescan", "remove"):
            for which in ("all", mid):
                code, out, _ = gw.ctl("-j", "quarantine", verb, which, "-y")
                equal((code, json.loads(out)["matched"]), (1, 0), verb)
        equal([m["id"] for m in gw.queue()], [mid], "it is left alone")


main()
