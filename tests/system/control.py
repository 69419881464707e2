#!/usr/bin/python3
"""posternctl: commands, JSON as promised, exit codes, changes."""
import base64
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from fakemx import *  # noqa: E402,F401,F403

CONF = '''
action out relay to "$hop"
match for domain { "example.net", "two.example" } action out
queue retry 1h
'''


def held(n=1):
    """A gateway whose next hop does not want anything yet."""
    mx = MX(faults={"connect": Reply("421 4.3.2 not now")})
    gw = Gateway(CONF, {"hop": mx.hop})
    gw.start()
    ids = []
    c = gw.client(helo="client.example")
    for i in range(n):
        to = "x@two.example" if i % 2 else "x@example.net"
        ids.append(queued_id(c.mail(f"s{i}@client.example", to,
                                    letter(f"c{i}"))))
    for mid in ids:
        gw.wait_log(f"deferred.*msg={mid}|msg={mid}.*deferred")
    wait_until(lambda: len([m for m in gw.queue()
                            if m["state"] == "deferred"]) == n, "deferred")
    return gw, mx, ids


def open_door(mx):
    with mx.changed:
        mx.faults.clear()


def done(gw, mx):
    gw.remove()
    mx.close()


@test
def status():
    with Gateway(CONF, {"hop": "smtp://127.0.0.1:1"}) as gw:
        s = gw.json("show", "status")
        for k in ("version", "pid", "uptime", "hostname", "processes",
                  "listeners", "paused", "dnssec"):
            assert k in s, f"no {k}"
        equal(s["pid"], gw.pids()[0], "pid")
        equal(s["hostname"], "mx.test.example", "hostname")
        roles = {p["role"] for p in s["processes"]}
        for r in ("parent", "smtpd", "resolver", "queue", "delivery",
                  "control"):
            assert r in roles, f"no {r} in {roles}"
        for p in s["processes"]:
            for k in ("role", "pid", "uptime", "restarts", "sandbox"):
                assert k in p, f"no {k}"
            assert is_running(p["pid"]), p
        ports = {x["port"] for x in s["listeners"]}
        assert gw.port in ports, ports
        text = gw.ctl("show", "status", check=0)[1]
        for r in ("smtpd", "queue", "delivery"):
            match(text, r, "text")


@test
def stats():
    gw, mx, ids = held(2)
    s = gw.stats()
    for k in ("smtpd.sessions smtpd.connections smtpd.accepted smtpd.rejected "
              "smtpd.tempfailed smtpd.bytes queue.messages queue.active "
              "queue.deferred queue.held queue.quarantined queue.commits "
              "queue.commit_batch queue.bytes delivery.connections "
              "delivery.delivered delivery.deferred delivery.bounced "
              "resolver.queries resolver.cache_hits log.lost").split():
        assert isinstance(s.get(k), (int, float)), f"{k}: {s.get(k)}"
    equal(s["smtpd.accepted"], 2, "accepted")
    equal(s["queue.messages"], 2, "messages")
    equal(s["queue.deferred"], 2, "deferred")
    done(gw, mx)


@test
def queue_listing_and_filters():
    gw, mx, ids = held(4)
    listing = gw.queue()
    equal({m["id"] for m in listing}, set(ids), "ids")
    for m in listing:
        for k in ("id", "age", "size", "from", "state", "recipients"):
            assert k in m, f"no {k}"
        for r in m["recipients"]:
            for k in ("to", "state", "attempts", "next", "reply"):
                assert k in r, f"no {k}"
        match(m["recipients"][0]["reply"], "421", "reply")
        match(m["recipients"][0]["next"], r"^\d{4}-\d\d-\d\dT.*Z$", "next")
    for words, want in (
            (("id", ids[2]), {ids[2]}),
            (("not", "id", ids[2]), set(ids) - {ids[2]}),
            (("from", "s1@client.example"), {ids[1]}),
            (("to", "x@two.example"), {ids[1], ids[3]}),
            (("domain", "two.example"), {ids[1], ids[3]}),
            (("domain", "two.example", "from", "s3@client.example"),
             {ids[3]}),
            (("state", "deferred"), set(ids)), (("state", "held"), set()),
            (("older", "1h"), set()), (("not", "older", "1h"), set(ids)),
            (("larger", "1M"), set()), (("tries", "1"), set(ids)),
            (("reply", "NOT NOW"), set(ids)), (("client", "127.0.0.0/8"),
                                               set(ids)),
            (("client", "192.0.2.0/24"), set())):
        got = {m["id"] for m in gw.json("show", "queue", *words)}
        equal(got, want, words)
    equal(len(gw.json("show", "queue", "limit", "2")), 2, "limit")
    done(gw, mx)


@test
def message_and_envelope():
    gw, mx, ids = held(1)
    out = gw.ctl("show", "message", ids[0], check=0)[1]
    match(out, r"^Received: .*X-Token: c0.*hello c0", "content")
    j = gw.json("show", "message", ids[0])
    equal(j["id"], ids[0], "id")
    match(base64.b64decode(j["content_base64"]).decode(), "X-Token: c0\r\n",
          "content")
    env = gw.json("show", "envelope", ids[0])
    for k in ("id", "from", "recipients", "received", "client", "listener"):
        assert k in env, f"no {k}"
    equal(env["from"], "s0@client.example", "from")
    match(env["client"], r"^127\.", "client")
    for what in ("message", "envelope"):
        code, out, err = gw.ctl("show", what, "0" * 16)
        equal(code, 1, what)
        assert err or out, "nothing was said"
    done(gw, mx)


@test
def hold_release_flush_remove():
    gw, mx, ids = held(3)
    r = gw.json("hold", "id", ids[0])
    equal((r["matched"], r["changed"]), (1, 1), "hold")
    equal(gw.json("show", "queue", "state", "held")[0]["id"], ids[0], "held")
    open_door(mx)
    r = gw.json("flush", "all")
    mx.wait(2)
    wait_until(lambda: len(gw.queue()) == 1, "the held one alone")
    equal([m["id"] for m in gw.queue()], [ids[0]], "the held one stays")
    gw.json("release", "id", ids[0])
    gw.ctl("flush", "all")
    mx.wait(3)
    gw.wait_empty()
    done(gw, mx)


@test
def remove_with_reason_and_dry_run():
    gw, mx, ids = held(3)
    r = gw.json("remove", "id", ids[0], "--dry-run")
    equal((r["matched"], len(gw.queue())), (1, 3), "dry run")
    r = gw.json("remove", "id", ids[0], "reason", "spam wave")
    equal((r["matched"], r["changed"]), (1, 1), "remove")
    equal({m["id"] for m in gw.queue()}, set(ids[1:]), "left")
    gw.wait_log(f"removed.*msg={ids[0]}|msg={ids[0]}.*removed")
    gw.wait_log(rf"uid={os.getuid()} .*reason=\"spam wave\"")
    equal(gw.ctl("remove", "id", "0" * 16)[0], 1, "a change of nothing")
    equal(gw.ctl("hold", "from", "nobody@x.example")[0], 1, "nothing")
    # and it stays removed
    gw.kill()
    open_door(mx)
    gw.start()
    gw.ctl("flush", "all")
    mx.wait(2)
    gw.wait_empty()
    equal(len(mx.mails()), 2, "mails")
    done(gw, mx)


@test
def hold_survives_a_crash():
    gw, mx, ids = held(1)
    gw.json("hold", "id", ids[0])
    open_door(mx)
    gw.kill()
    gw.start()
    gw.ctl("flush", "all")
    equal(gw.queue()[0]["state"], "held", "state")
    gw.json("release", "id", ids[0])
    gw.ctl("flush", "all")
    mx.wait(1)
    done(gw, mx)


TWO = '''
action out relay to "$hop"
action second relay to "$second"
match mail-from { "s0@client.example" } action out
match for domain { "example.net", "two.example" } action out
queue retry 1h
'''


def other_rules(gw, old, new):
    """From now on, once."""
    gw.stop()
    gw.conf_text = gw.conf_text.replace(old, new, 1)
    gw.write_conf()
    gw.start()


@test
def requeue():
    mx = MX(faults={"connect": Reply("421 4.3.2 not now")})
    second = MX(faults={"rcpt": Reply("450 4.2.0 not yet")})
    gw = Gateway(TWO, {"hop": mx.hop, "second": second.hop})
    gw.start()
    c = gw.client(helo="client.example")
    ids = [queued_id(c.mail(f"s{i}@client.example", "x@example.net",
                            letter(f"c{i}"))) for i in range(2)]
    wait_until(lambda: [m["state"] for m in gw.queue()] ==
               ["deferred"] * 2, "deferred")
    gw.json("hold", "id", ids[0])
    other_rules(gw, '" } action out', '" } action second')
    r = gw.json("requeue", "all", "--dry-run")
    equal((r["matched"], r["changed"], r["operation"]), (2, 2, 0), "dry run")
    equal({m["recipients"][0]["action"] for m in gw.queue()}, {"out"}, "dry")
    r = gw.json("requeue", "id", ids[0], "reason", "moved")
    equal((r["matched"], r["changed"]), (1, 1), "requeue")
    gw.wait_log(f"requeued msg={ids[0]} to=x@example.net was=out "
                "action=second")
    gw.wait_log("operation change=requeue .*reason=moved")
    gw.wait_log(f"deferred msg={ids[0]} .*action=second .*450 4.2.0")
    gw.wait_log("operation change=requeue")
    # and it does not go back to its old way
    gw.kill()
    gw.start()
    equal({m["id"]: m["recipients"][0]["action"] for m in gw.queue()},
          {ids[0]: "second", ids[1]: "out"}, "actions")
    open_door(second)
    # Again: what is under way since the start may still have met the 450.
    wait_until(lambda: gw.ctl("flush", "id", ids[0]) and second.mails(),
               "a mail")
    equal(second.wait(1)[0].sender, "s0@client.example", "by the second way")
    equal(len(mx.mails()), 0, "by the first")
    done(gw, mx)
    second.close()


@test
def requeue_refused():
    gw, mx, ids = held(1)
    other_rules(gw, "match for", "match from any reject\nmatch for")
    gw.json("requeue", "id", ids[0])
    m = gw.queue()[0]
    equal(m["state"], "held", "state")
    match(m["recipients"][0]["reply"], "requeue: the rules refuse it", "reply")
    gw.wait_log(f"requeue-refused msg={ids[0]}")
    done(gw, mx)


@test
def destinations():
    gw, mx, ids = held(1)
    d = gw.json("show", "destinations")
    equal([x["destination"] for x in d], [mx.hop], "destinations")
    equal(d[0]["action"], "out", "action")
    equal((d[0]["active"], d[0]["connections"], d[0]["window"]), (0, 0, 1),
          "resting")
    for k in ("queued", "backoff"):
        assert isinstance(d[0][k], int), f"{k}: {d}"
    equal(d[0]["reply"], "421 4.3.2 not now", "reply")
    out = gw.ctl("show", "destinations", check=0)[1]
    match(out, mx.hop, "text")
    match(out, "421 4.3.2 not now", "text")
    open_door(mx)
    gw.ctl("flush", "all")
    gw.wait_empty()
    equal(gw.json("show", "destinations"), [], "nobody waits")
    done(gw, mx)


@test
def send():
    mx = MX()
    with Gateway(CONF, {"hop": mx.hop}) as gw:
        data = b"X-Token: sent\nSubject: s\n\nby hand\n.\n..\n"
        code, out, err = gw.ctl("-j", "send", "-f", "me@client.example",
                                "x@example.net", "y@example.net", stdin=data,
                                check=0)
        mid = json.loads(out)["id"]
        equal(len(mid), 16, "id")
        mail = mx.wait()[0]
        equal(mail.sender, "me@client.example", "sender")
        equal(sorted(mail.rcpts), ["x@example.net", "y@example.net"], "rcpts")
        assert mail.data.endswith(data.replace(b"\n", b"\r\n")), mail.data
        code, out, err = gw.ctl("send", "-f", "me@c.example",
                                "x@nowhere.example", stdin=data)
        equal(code, 1, "refused by the rules")
    mx.close()


@test
def exit_codes():
    with Gateway(CONF, {"hop": "smtp://127.0.0.1:1"}) as gw:
        for argv in ((), ("banana",), ("show",), ("show", "banana"),
                     ("show", "queue", "banana"), ("remove",),
                     ("show", "message")):
            equal(gw.ctl(*argv)[0], 2, argv)
        equal(gw.ctl("show", "queue", check=0)[0], 0, "an empty listing")
        equal(json.loads(gw.ctl("-j", "show", "queue")[1]), [], "[]")
        nobody = "0" * 16
        for argv in (("show", "queue", nobody), ("show", "queue", "id", "x"),
                     ("show", "message", nobody), ("show", "message", "x"),
                     ("show", "headers", nobody), ("show", "envelope", nobody),
                     ("quarantine", "list", nobody), ("trace", nobody),
                     ("quarantine", "show", nobody), ("hold", nobody),
                     ("release", "x"), ("flush", nobody), ("requeue", nobody),
                     ("remove", "id", nobody), ("quarantine", "release", "x")):
            code, out, err = gw.ctl(*argv)
            equal(code, 1, argv)
            assert argv[-1] in err, (argv, err)
        equal(gw.ctl("hold", nobody, "1" * 16)[0], 2, "two ids")
    gw2 = Gateway(CONF, {"hop": "smtp://127.0.0.1:1"})
    equal(gw2.ctl("show", "status")[0], 3, "nobody there")
    gw2.remove()


@test
def stop():
    gw, mx, ids = held(1)
    pids = gw.pids()
    gw.ctl("stop", check=0)
    equal(gw.proc.wait(DEADLINE), 0, "exit code")
    wait_gone(pids)
    gw.proc = None
    done(gw, mx)


@test
def garbage_hurts_nobody():
    with Gateway(CONF, {"hop": "smtp://127.0.0.1:1"}) as gw:
        pid = gw.role_pids("control")
        for data in (b"", b"x", b"\xff" * 64, b"\0" * 100000,
                     b"GET / HTTP/1.0\r\n\r\n"):
            s = socket.socket(socket.AF_UNIX)
            s.connect(gw.control)
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                while s.recv(4096):
                    pass
            except OSError:
                pass
            s.close()
        # descriptors over the control socket
        s = socket.socket(socket.AF_UNIX)
        s.connect(gw.control)
        socket.send_fds(s, [b"x" * 16], [0, 1, 2])
        s.close()
        gw.ctl("show", "status", check=0)
        equal(gw.role_pids("control"), pid, "the same process")


@test
def strangers_are_refused():
    if not ROOT:
        raise Skip("needs root to become a stranger")
    with Gateway(CONF, {"hop": "smtp://127.0.0.1:1"}) as gw:
        p = subprocess.run(["setpriv", "--reuid=games", "--regid=60",
                            "--clear-groups", f"{gw.build}/posternctl", "-s",
                            gw.control, "show", "queue"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert p.returncode in (1, 3), p


main()
