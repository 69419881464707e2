#!/usr/bin/python3
"""The next hop: what it may do to us, and what becomes of the mail."""
import email
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

from fakemx import *  # noqa: E402,F401,F403

CONF = '''
action out relay to $hops
match for domain { "example.net" } action out
queue retry 1h
'''


def quick(*steps):
    """For next hops that are waited for in vain."""
    return "".join(f"deliver {s}-timeout {4 if SANITIZED else 1}s\n"
                   for s in steps)


QUICK = quick("connect", "greeting", "helo", "mail", "rcpt", "data-init",
              "data-block", "data-end", "quit")


def gateway(*mxs, conf="", retry="1h"):
    return Gateway(
        CONF.replace("retry 1h", f"retry {retry}") + conf,
        {"hops": " ".join(f'"{m.hop if isinstance(m, MX) else m}"'
                          for m in mxs)})


def one(gw, token="t", rcpts=("x@example.net",), data=None, params=""):
    with gw.client(helo="client.example") as c:
        return queued_id(c.mail("s@client.example", list(rcpts),
                                data or letter(token), params))


def fate(faults, wanted, rcpts=("x@example.net",), extensions=None, conf=""):
    """One mail into an MX with these faults; the event it must end in."""
    mx = MX(faults=faults) if extensions is None else \
        MX(faults=faults, extensions=extensions)
    try:
        with gateway(mx, conf=conf) as gw:
            mid = one(gw, rcpts=rcpts)
            line = gw.wait_log(rf"delivery.*{wanted}.*msg={mid}|"
                               rf"{wanted}.*msg={mid}")
            wait_until(lambda: settled(gw, mid, wanted), "the queue to know")
            # Not the report, if there is one.
            return mx, [m for m in gw.queue() if m["id"] == mid], line
    finally:
        mx.close()


def settled(gw, mid, wanted):
    found = [m for m in gw.queue() if m["id"] == mid]
    if not found:  # what was bounced is gone behind its report
        return wanted != "deferred"
    states = {r["state"] for r in found[0]["recipients"]}
    return {"deferred": "deferred", "bounced": "bounced",
            "delivered": "delivered"}[wanted] in states


def deferred(faults, reply=None, **kw):
    mx, queue, line = fate(faults, "deferred", **kw)
    equal(mx.mails() if "dot" not in faults else [], [], "nothing was kept")
    r = queue[0]["recipients"][0]
    equal(r["state"], "deferred", "state")
    equal(r["attempts"], 1, "attempts")
    if reply:
        match(r["reply"], reply, "reply")
    return mx


def deferred_by(hops, reply=None, conf=""):
    """One mail to a next hop with each of these faults, {what: faults}; all
    are deferred."""
    hops = {what: (MX(faults=faults), faults) for what, faults in hops.items()}
    for n, (mx, _) in enumerate(hops.values()):
        conf += f'action d{n} relay to "{mx.hop}"\n' \
            f'match for domain {{ "d{n}.example" }} action d{n}\n'
    with gateway(mx, conf=conf) as gw:
        mids = [one(gw, rcpts=(f"x@d{n}.example",)) for n in range(len(hops))]
        for mid, (what, (mx, faults)) in zip(mids, hops.items()):
            got, line = gw.fate(mid)
            equal(got, "deferred", f"{what}: {line}")
            wait_until(lambda mid=mid: settled(gw, mid, "deferred"),
                       "the queue to know")
            (mail,) = [m for m in gw.queue() if m["id"] == mid]
            r = mail["recipients"][0]
            equal((r["state"], r["attempts"]), ("deferred", 1), what)
            match(r["reply"] or "", reply or "", what)
            if "dot" not in faults:
                equal(mx.mails(), [], f"{what}: nothing was kept")
    for mx, _ in hops.values():
        mx.close()


@test
def stalls_at_every_moment():
    deferred_by({moment: {moment: Stall()} for moment in (
        "connect", "ehlo", "mail", "rcpt", "data", "dot")}, conf=QUICK)
    mx, queue, _ = fate({"quit": Stall()}, "delivered", conf=quick("quit"))
    equal(queue, [], "a stalled QUIT is a success")


@test
def drops_at_every_moment():
    hows = {"an end": Drop(), "half a line": Drop(b"250 o"),
            "a reset": Reset()}
    deferred_by({f"{what} at {moment}": {moment: how}
                 for what, how in hows.items() for moment in (
                     "connect", "ehlo", "mail", "rcpt", "data", "dot")})
    mx, queue, _ = fate({"quit": Reset()}, "delivered")
    equal(queue, [], "a reset at QUIT is a success")


@test
def says_421_at_every_moment():
    deferred_by({moment: {moment: Reply("421 4.3.2 going down")}
                 for moment in ("connect", "ehlo", "mail", "rcpt", "data",
                                "dot")}, "421")


@test
def says_4xx_at_every_moment():
    deferred_by({moment: {moment: Reply("451 4.7.1 greylisted, come back")}
                 for moment in ("connect", "mail", "rcpt", "data", "dot")},
                "451")


@test
def says_5xx_at_every_moment():
    for moment in ("mail", "rcpt", "data", "dot"):
        _, queue, _ = fate({moment: Reply("550 5.1.1 no such user")},
                           "bounced")
        r = queue[0]["recipients"][0] if queue else None
        if r:
            equal(r["state"], "bounced", moment)
            match(r["reply"], "550 5.1.1 no such user", moment)


@test
def malformed_replies_are_temporary():
    bad = (b"hello\r\n", b"000 zero\r\n", b"999 nine\r\n", b"1\r\n",
           b"250-one\r\n550 two\r\n", b"\r\n", b"25O letter\r\n",
           b"2500 long\r\n", b"\x00\x01\x02\r\n", b"150 early\r\n",
           b"250 " + b"x" * 70000 + b"\r\n")
    hops = {data[:30]: {"mail": Raw(data)} for data in bad}
    hops["SSH"] = {"connect": Raw(b"SSH-2.0-OpenSSH_9.2\r\n")}
    deferred_by(hops)


@test
def endless_replies_are_cut_short():
    for data in (b"250-more\r\n", b"x", b"250 x", b"250-" + b"y" * 500 +
                 b"\r\n"):
        deferred_by({moment: {moment: Endless(data)}
                     for moment in ("connect", "ehlo", "mail", "dot")
                     if (moment, data) != ("dot", b"250 x")}, conf=QUICK)


@test
def replies_cannot_forge_log_lines():
    text = "451 4.0.0 nice\x1b[31m try\tposternd[1]: \"quoted\" \\"
    mx = MX(faults={"rcpt": Reply(text)})
    with gateway(mx) as gw:
        mid = one(gw)
        gw.wait_log(f"deferred.*msg={mid}|msg={mid}.*deferred")
        assert not gw.log_has("\x1b"), "a control character in the log"
        wait_until(lambda: settled(gw, mid, "deferred"), "the queue")
        reply = gw.queue()[0]["recipients"][0]["reply"]
        assert all(32 <= ord(ch) < 127 for ch in reply), reply
    mx.close()


@test
def helo_when_ehlo_is_refused():
    mx, queue, _ = fate({"ehlo": Reply("502 5.5.1 what?")}, "delivered")
    assert ("helo", "mx.test.example") in mx.commands, mx.commands
    equal(queue, [], "queue")
    deferred({"ehlo": Reply("502 no"), "helo": Reply("502 no")})


@test
def no_extensions_at_all():
    mx, queue, _ = fate({}, "delivered", extensions=())
    equal(queue, [], "queue")
    equal([t for v, t in mx.commands if v == "mail"],
          ["FROM:<s@client.example>"], "MAIL without parameters")


@test
def eight_bit_to_a_hop_without_8bitmime():
    mx = MX(extensions=("PIPELINING",))
    with gateway(mx) as gw:
        data = "X-Token: 8\r\n\r\n\u00e4\u00f6\r\n".encode()
        one(gw, data=data, params=" BODY=8BITMIME")
        came = mx.wait()[0].data
        assert came.isascii(), came
        body = email.message_from_bytes(came).get_payload(decode=True)
        equal(body, data.partition(b"\r\n\r\n")[2], "decoded")
        assert not any("8BITMIME" in t for v, t in mx.commands if v == "mail")
    mx.close()


@test
def size_announced_too_small():
    _, queue, line = fate({}, "bounced", extensions=("SIZE 100",
                                                     "PIPELINING"))
    match(line, r"5\.3\.4", "why")


@test
def each_recipient_has_its_own_fate():
    def rcpt(arg):
        for name, reply in (("gone", "550 5.1.1 no such user"),
                            ("busy", "450 4.2.1 busy")):
            if name in arg:
                return Reply(reply)
        return None
    mx = MX(faults={"rcpt": rcpt})
    with gateway(mx) as gw:
        mid = one(gw, rcpts=("good@example.net", "gone@example.net",
                             "busy@example.net", "fine@example.net"))
        equal(sorted(mx.wait()[0].rcpts),
              ["fine@example.net", "good@example.net"], "the good ones")
        for event, to in (("delivered", "good"), ("delivered", "fine"),
                          ("bounced", "gone"), ("deferred", "busy")):
            gw.wait_log(rf"{event}.*to={to}@")
        wait_until(lambda: settled(gw, mid, "deferred"), "the queue")
        (mail,) = [m for m in gw.queue() if m["id"] == mid]
        states = {r["to"]: r["state"] for r in mail["recipients"]}
        equal(states.get("busy@example.net"), "deferred", "busy")
        equal(states.get("good@example.net", "delivered"), "delivered", "good")
        equal(states.get("gone@example.net", "bounced"), "bounced", "gone")
    mx.close()


@test
def too_many_recipients_go_in_a_second_transaction():
    seen = []

    def rcpt(arg):
        seen.append(arg)
        return Reply("452 4.5.3 too many") if len(seen) in (3, 4) else None
    mx = MX(faults={"rcpt": rcpt})
    with gateway(mx, retry="1s") as gw:
        one(gw, rcpts=[f"u{i}@example.net" for i in range(4)])
        mails = mx.wait(2)
        got = sorted(r for m in mails for r in m.rcpts)
        equal(got, [f"u{i}@example.net" for i in range(4)], "all four")
        gw.wait_empty()
    mx.close()


@test
def never_the_body_when_all_were_refused():
    """354 in spite of it: a lone dot or the end, but no content."""
    mx = MX(faults={"rcpt": Reply("550 5.1.1 no"),
                    "data": Reply("354 but go on")})
    with gateway(mx) as gw:
        one(gw)
        gw.wait_log("bounced")
        equal([m.data for m in mx.mails() if m.data], [], "content")
    mx.close()


@test
def deferred_mail_is_tried_again():
    mx = MX(faults={"rcpt": [Reply("450 4.2.0 later"),
                             Reply("450 4.2.0 later")]})
    with gateway(mx, retry="1s") as gw:
        mid = one(gw)
        mx.wait()
        match(gw.wait_log(rf"delivered.*msg={mid}|msg={mid}.*delivered"),
              "attempts=3", "attempts")
        gw.wait_empty()
    mx.close()


@test
def expired_mail_bounces():
    mx = MX(faults={"rcpt": Reply("450 4.2.0 later")})
    with gateway(mx, retry="1s", conf="queue ttl 3s\n") as gw:
        mid = one(gw)
        gw.wait_log(rf"(expired|bounced).*msg={mid}|"
                    rf"msg={mid}.*(expired|bounced)")
    mx.close()


@test
def failover():
    """Hops are tried in the order they stand."""
    first, second = MX(), MX()
    with gateway(first, second) as gw:
        one(gw, "a")
        first.wait()
        gw.wait_empty()
        equal(second.mails(), [], "the second")
        first.close()
        one(gw, "b")
        second.wait()
        gw.wait_empty()
    second.close()
    for fault in (Reply("421 4.3.2 closed"), Drop(), Stall(),
                  Reply("554 5.3.2 no")):
        bad, good = MX(faults={"connect": fault}), MX()
        # The others' greetings may take their time.
        with gateway(bad, good, conf=quick("greeting")
                     if isinstance(fault, Stall) else "") as gw:
            one(gw)
            good.wait()
            gw.wait_empty()
        bad.close()
        good.close()


@test
def nobody_listens():
    dead = MX()
    dead.close()
    with gateway(dead) as gw:
        mid = one(gw)
        gw.wait_log(f"deferred.*msg={mid}|msg={mid}.*deferred")
        wait_until(lambda: settled(gw, mid, "deferred"), "the queue")
        again = MX(address=dead.address, port=dead.port)
        gw.ctl("flush", "all", check=0)
        again.wait()
        gw.wait_empty()
        again.close()


@test
def our_own_address_behind_a_wildcard_is_a_loop():
    """An address of this machine that is not a loopback one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            raise Skip("this machine has no address but the loopback's")
        address = s.getsockname()[0]
    port = wide_port()
    with gateway(f"smtp://{address}:{port}",
                 conf=f"listen on 0.0.0.0 port {port}\n") as gw:
        mid = one(gw)
        line = gw.wait_log(rf"bounced.*msg={mid}|msg={mid}.*bounced")
        match(line, r"5\.4\.6 .*loop", "the reason")
        gw.wait_log(rf"smtpd accepted .*msg={mid}")
        equal(len(gw.log_has("smtpd accepted ")), 1, "mails taken")


@test
def connections_are_reused():
    mx = MX()
    with gateway(mx, conf="workers smtpd 1 delivery 1\n") as gw:
        for i in range(20):
            equal(gw.fate(one(gw, f"r{i}"))[0], "delivered", "each in turn")
        gw.wait_empty()
        assert mx.total <= 5, f"{mx.total} connections for 20 mails"
    mx.close()


@test
def messages_per_connection_and_concurrency():
    mx = MX()
    with Gateway(CONF.replace("$hops", f'"{mx.hop}"') +
                 "deliver concurrency 2 messages-per-connection 3\n"
                 "workers smtpd 1 delivery 1\n") as gw:
        for i in range(12):
            one(gw, f"c{i}")
        mails = mx.wait(12)
        per = {}
        for m in mails:
            add(per, m.connection)
        assert max(per.values()) <= 3, per
    mx.close()


@test
def routes_by_table():
    a, b = MX(), MX()
    conf = f'''
table routes {{ "example.net" = "{a.hop}", "other.example" = "{b.hop}" }}
action mapped relay to routes
match for domain routes action mapped
'''
    with Gateway(conf) as gw:
        one(gw, rcpts=("x@example.net", "y@other.example"))
        equal(a.wait()[0].rcpts, ["x@example.net"], "a")
        equal(b.wait()[0].rcpts, ["y@other.example"], "b")
    a.close()
    b.close()


main()
