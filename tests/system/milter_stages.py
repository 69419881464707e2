#!/usr/bin/python3
"""One filter: every verdict at every stage, and what the client sees."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

from filtered import *  # noqa: E402,F401,F403


VERDICTS = {  # answer -> (code, text)
    "reject": (REJECT, 550, "5.7.1"),
    "tempfail": (TEMPFAIL, 451, "4.7.1"),
    "reply5": (reply("553 5.1.8 not from there"), 553, "5.1.8 not from"),
    "reply4": (reply("450 4.2.0 later, 100%% sure"), 450, "later, 100% sure"),
    "lines": (reply("550-5.7.9 first line\r\n550 5.7.9 second line"), 550,
              "5.7.9 first line\n5.7.9 second line"),
}


def still_works(gw):
    """The next session, and the next mail, are as if nothing had been."""
    gw.filters["f"][0].script = {}
    taken(gw.one())


@test
def connect():
    f = Filter()
    with Filtered({"f": f}) as gw:
        for name, (answer, code, text) in VERDICTS.items():
            f.script = {"connect": answer}
            c = gw.client()
            if code // 100 == 5:
                equal(c.greeting[0], 554, f"{name}: {c.greeting}")
            else:
                equal(c.greeting[0], 220, f"{name}: {c.greeting}")
            c.want("EHLO client.example", 250)
            for line in ("MAIL FROM:<a@b.example>",
                         "MAIL FROM:<a@b.example>"):
                got = c.cmd(line)
                equal(got[0], code, f"{name}: {got}")
                assert text in got[1], (name, got)
            c.want("QUIT", 221)
            c.ended()
        still_works(gw)
        f.wait_ended()
        equal([e.moment for e in f.seen("mail")], ["mail"], "MAILs told")


@test
def a_421_ends_the_session_at_every_stage():
    f = Filter()
    with Filtered({"f": f}) as gw:
        for moment in ("connect", "helo", "mail", "rcpt", "data", "header",
                       "eoh", "body", "eom"):
            for answer in (SHUTDOWN, reply("421 4.7.9 go away")):
                f.script = {moment: answer}
                c = gw.client(greet=False)
                got = c.reply()
                steps = ["EHLO c.example", "MAIL FROM:<a@b.example>",
                         "RCPT TO:<x@example.net>", "DATA",
                         letter("t") + b".\r\n"]
                while got[0] != 421 and steps:
                    got = c.cmd(steps.pop(0))
                equal(got[0], 421, f"{moment}: {got}")
                match(got[1], r"^4\.\d\.\d ", moment)
                c.ended()
                equal(len(steps), {"connect": 5, "helo": 4, "mail": 3,
                                   "rcpt": 2, "data": 1}.get(moment, 0),
                      f"{moment}: commands left")
        still_works(gw)
        equal(len(gw.mx.wait()), 1, "mails")


@test
def helo():
    f = Filter()
    with Filtered({"f": f}) as gw:
        for name, (answer, code, text) in VERDICTS.items():
            f.script = {"helo": answer}
            c = gw.client()
            equal(c.greeting[0], 220, "greeting")
            c.want("EHLO client.example", 250)
            got = c.cmd("MAIL FROM:<a@b.example>")
            equal(got[0], code, f"{name}: {got}")
            assert text in got[1], (name, got)
            c.want("QUIT", 221)
        still_works(gw)


@test
def mail():
    f = Filter()
    with Filtered({"f": f}) as gw:
        with gw.client(helo="c.example") as c:
            for name, (answer, code, text) in VERDICTS.items():
                f.script = {"mail": answer}
                got = c.cmd("MAIL FROM:<a@b.example>")
                equal(got[0], code, f"{name}: {got}")
                assert text in got[1], (name, got)
                c.want("RCPT TO:<x@example.net>", 503)
            f.script = {}
            taken(c.mail("a@b.example", "x@example.net", letter("t")))
        f.wait_ended()
        equal(f.total, 1, "connections")


@test
def rcpt():
    """It is this recipient's alone."""
    f = Filter()
    with Filtered({"f": f}) as gw:
        with gw.client(helo="c.example") as c:
            for name, (answer, code, text) in VERDICTS.items():
                c.want("MAIL FROM:<a@b.example>", 250)
                f.script = {"rcpt": [CONTINUE, answer, CONTINUE]}
                c.want("RCPT TO:<one@example.net>", 250)
                got = c.cmd("RCPT TO:<two@example.net>")
                equal(got[0], code, f"{name}: {got}")
                assert text in got[1], (name, got)
                c.want("RCPT TO:<three@example.net>", 250)
                c.want("DATA", 354)
                c.send(letter(name) + b".\r\n")
                taken(c.reply())
            # None is left.
            f.script = {"rcpt": REJECT}
            c.want("MAIL FROM:<a@b.example>", 250)
            c.want("RCPT TO:<x@example.net>", 550)
            got = c.cmd("DATA")
            assert got[0] in (503, 554), got
        for m in gw.mx.wait(len(VERDICTS)):
            equal(m.rcpts, ["one@example.net", "three@example.net"], "rcpts")
        f.wait_ended()
        equal(f.order()[-2:], "AQ", "the message without recipients")


@test
def data():
    f = Filter()
    with Filtered({"f": f}) as gw:
        with gw.client(helo="c.example") as c:
            for name, (answer, code, text) in VERDICTS.items():
                f.script = {"data": answer}
                c.want("MAIL FROM:<a@b.example>", 250)
                c.want("RCPT TO:<x@example.net>", 250)
                got = c.cmd("DATA")
                equal(got[0], code, f"{name}: {got}")
                assert text in got[1], (name, got)
            f.script = {}
            taken(c.mail("a@b.example", "x@example.net", letter("t")))
        gw.mx.wait()
    equal(len(gw.mx.mails()), 1, "mails")


@test
def content():
    """After the dot, whatever it was that it did not like."""
    f = Filter()
    with Filtered({"f": f}) as gw:
        with gw.client(helo="c.example") as c:
            for moment in ("header", "eoh", "body", "eom"):
                for name, (answer, code, text) in VERDICTS.items():
                    f.script = {moment: answer}
                    got = c.mail("a@b.example", "x@example.net", letter("t"))
                    equal(got[0], code, f"{moment}, {name}: {got}")
                    assert text in got[1], (moment, name, got)
            f.script = {}
            taken(c.mail("a@b.example", "x@example.net", letter("t")))
        gw.mx.wait()
        f.wait_ended()
        # It may have had more to say to the fields behind the one it did
        # not like: the next mail begins anew.
        equal(f.total, 1 + len(VERDICTS), "connections")
    equal(len(gw.mx.mails()), 1, "mails")


@test
def content_in_lock_step():
    """One connection, and no field before the reply to the one before."""
    f = Filter()
    with Filtered({"f": (f, "lock-step")}) as gw:
        with gw.client(helo="c.example") as c:
            for name, (answer, code, text) in VERDICTS.items():
                f.script = {"header": answer}
                got = c.mail("a@b.example", "x@example.net", letter("t"))
                equal(got[0], code, f"{name}: {got}")
            f.script = {}
            taken(c.mail("a@b.example", "x@example.net", letter("t")))
        gw.mx.wait()
        f.wait_ended()
        equal(f.total, 1, "connections")
        equal([m for m in f.moments() if m == "header"],
              ["header"] * (len(VERDICTS) + 3), "fields")


@test
def discard():
    """As if it were taken; nothing is delivered, and the log knows."""
    f = Filter()
    with Filtered({"f": f}) as gw:
        for moment in ("mail", "rcpt", "data", "header", "eoh", "body",
                       "eom"):
            f.script = {moment: DISCARD}
            with gw.client(helo="c.example") as c:
                mid = taken(c.mail("a@b.example", ["x@example.net",
                                                   "y@example.net"],
                                   letter(moment)))
                gw.wait_log(rf"discarded .*msg={mid}|msg={mid}.*discarded")
        f.script = {}
        taken(gw.one("kept"))
        gw.mx.wait()
        gw.wait_empty()
        equal([token_of(m.data) for m in gw.mx.mails()], ["kept"], "mails")


@test
def accept():
    """It is done: with the session, or with the message."""
    f = Filter()
    with Filtered({"f": f}) as gw:
        for moment, order, again in (
                ("connect", "OCQ", ""), ("helo", "OCHQ", ""),
                ("mail", "OCHM", "M"), ("rcpt", "OCHMR", "MR"),
                ("data", "OCHMRT", "MRT"),
                # With others on their way: anew for the next.
                ("header", "OCHMRTL", "OCHMRTL"),
                ("eoh", "OCHMRTLN", "MRTLN"),
                ("body", "OCHMRTLNB", "MRTLNB"),
                ("eom", "OCHMRTLNBE", "MRTLNBE")):
            f.forget()
            f.script = {moment: ACCEPT}
            with gw.client(helo="client.example") as c:
                for n in range(2):
                    taken(c.mail("a@b.example", "x@example.net",
                                 letter(moment)))
                c.want("QUIT", 221)
            f.wait_ended()
            want = order.rstrip("Q") + again + "Q"
            equal(re.sub("A", "", f.order()), want, moment)
        gw.mx.wait(18)


@test
def quarantined():
    f = Filter({"eom": quarantine("it smells") + ACCEPT})
    with Filtered({"f": f}) as gw:
        mid = taken(gw.one())
        gw.wait_log(rf"quarantined.*msg={mid}|msg={mid}.*quarantined")
        q = gw.quarantined()
        equal([m["id"] for m in q], [mid], "quarantine list")
        equal(q[0]["filter"], "f", "filter")
        equal(q[0]["reason"], "it smells", "reason")
        for final, code in ((REJECT, 550), (TEMPFAIL, 451), (DISCARD, 250)):
            f.script = {"eom": quarantine("moot") + final}
            equal(gw.one()[0], code, "the final answer counts")
        equal(len(gw.quarantined()), 1, "in quarantine")
        equal(gw.mx.mails(), [], "delivered")


@test
def what_it_is_told():
    f = Filter()
    data = (b"From: a@b.example\r\nX-Fold: one\r\n\ttwo\r\n   three\r\n"
            b"X-Empty:\r\nX-Tab:\tv\r\nX-Two:  two\r\nX-None:none\r\n"
            b"X-Eight: \xc3\xa9\r\nX-Again: 1\r\nx-again: 2\r\n\r\n"
            b"\r\n8bit \xe9 and\r\n.dot\r\n..dots\r\n\r\n")
    with Filtered({"f": f}) as gw:
        with gw.client(helo="client.example") as c:
            mid = taken(c.mail(
                "Luke@B.example", ["x@example.net", "y+z@example.net"], data,
                f" SIZE={len(data)} BODY=8BITMIME"))
            c.want("MAIL FROM:<>", 250)
            c.want("RSET", 250)
            c.want("BOGUS one two", 500)
            peer = c.sock.getsockname()
            c.want("QUIT", 221)
        f.wait_ended()
        equal(f.order(), "OCHMRRTLNBEMAUQ", "order")
        equal(f.seen("connect")[0].payload,
              f"[{peer[0]}]\0004".encode() + peer[1].to_bytes(2, "big") +
              f"{peer[0]}\0".encode(), "CONNECT")
        equal(f.seen("helo")[0].strings, ["client.example"], "helo")
        equal(f.seen("mail")[0].strings,
              ["<Luke@B.example>", f"SIZE={len(data)}", "BODY=8BITMIME"],
              "MAIL")
        equal([e.strings for e in f.seen("rcpt")],
              [["<x@example.net>"], ["<y+z@example.net>"]], "RCPT")
        equal(f.seen("mail")[1].strings, ["<>"], "the empty sender")
        equal(f.seen("unknown")[0].strings, ["BOGUS one two"], "UNKNOWN")
        eom = f.seen("eom")[0]
        equal(eom.headers, [
            (b"From", b"a@b.example"), (b"X-Fold", b"one\n\ttwo\n   three"),
            (b"X-Empty", b""), (b"X-Tab", b"\tv"), (b"X-Two", b" two"),
            (b"X-None", b"none"), (b"X-Eight", b"\xc3\xa9"),
            (b"X-Again", b"1"), (b"x-again", b"2")], "headers")
        equal(b"".join(eom.body), data.split(b"\r\n\r\n", 1)[1], "body")
        unchanged(gw.mx.wait()[0].data, data)
        equal(f.seen("mail")[0].macros["i"], mid, "i at MAIL")


@test
def leading_space():
    f = Filter(steps=LEADSPC)
    f.script = {"eom": add_header("X-New", "none") +
                change_header(1, "X-None", "  two") + CONTINUE}
    with Filtered({"f": f}) as gw:
        taken(gw.one(data=b"X-Two:  two\r\nX-None:none\r\n\r\nbody\r\n"))
        equal(f.seen("eom")[0].headers,
              [(b"X-Two", b"  two"), (b"X-None", b"none")], "headers")
        _, _, found, _ = gw.delivered()
        equal(found[1:], [b"X-Two:  two", b"X-None:  two", b"X-New:none"],
              "fields")


@test
def macros():
    f = Filter()
    with Filtered({"f": f}) as gw:
        with gw.client(helo="client.example") as c:
            mid = taken(c.mail("a@b.example", ["x@example.net",
                                               "y@example.net"],
                               b"Message-ID: <m1@b.example>\r\n\r\nhi\r\n"))
            peer = c.sock.getsockname()
        gw.mx.wait()
        told = {e.moment: e.macros for e in f.seen()}
        m = told["connect"]
        for k, v in {"j": "mx.test.example", "{client_addr}": peer[0],
                     "{client_port}": str(peer[1]),
                     "{daemon_addr}": gw.address,
                     "{daemon_port}": str(gw.port),
                     "{client_name}": f"[{peer[0]}]"}.items():
            equal(m.get(k), v, k)
        for k in ("_", "v", "{daemon_name}", "{client_ptr}",
                  "{client_resolve}"):
            assert m.get(k), (k, m)
        assert not any(k.startswith("{auth_") for k in told["mail"]), told
        assert "{tls_version}" not in told["helo"], told["helo"]
        equal(told["mail"]["i"], mid, "i at MAIL")
        equal(told["mail"]["{mail_addr}"], "a@b.example", "{mail_addr}")
        equal([e.macros["{rcpt_addr}"] for e in f.seen("rcpt")],
              ["x@example.net", "y@example.net"], "{rcpt_addr}")
        for moment in ("rcpt", "data", "eoh", "eom"):
            equal(told[moment].get("i"), mid, f"i at {moment}")
        equal(told["eom"].get("{msg_id}"), "<m1@b.example>", "{msg_id}")


@test
def macros_it_asked_for():
    f = Filter(symbols={"connect": "j, {client_addr}", "rcpt": "{rcpt_addr}",
                        "eom": "i", "mail": "{i} {mail_addr}", "helo": "",
                        "eoh": "{nonsense} i", 99: "x"})
    with Filtered({"f": f}) as gw:
        mid = taken(gw.one())
        told = {e.moment: e.macros for e in f.seen()}
        equal(sorted(told["connect"]), ["j", "{client_addr}"], "connect")
        equal(told["helo"], {}, "helo")
        equal(told["mail"], {"i": mid, "{mail_addr}": "s@client.example"},
              "mail")
        equal(told["rcpt"], {"{rcpt_addr}": "x@example.net"}, "rcpt")
        equal(told["eom"], {"i": mid}, "eom")
        equal(told["eoh"], {"i": mid}, "eoh")
        equal(told["data"].get("i"), mid, "data: the default")


@test
def what_it_does_not_want():
    """Each step left out, and all; their macros come all the same."""
    for left_out in [[m] for m in NO] + [list(NO)]:
        f = Filter(steps=sum(NO[m] for m in left_out))
        with Filtered({"f": f}) as gw:
            with gw.client(helo="client.example") as c:
                taken(c.mail("a@b.example", "x@example.net", letter("t")))
                c.cmd("BOGUS")
                c.want("QUIT", 221)
            f.wait_ended()
            want = "".join(l for l in "OCHMRTLNBEUQ"
                           if MOMENTS[l] not in left_out)
            equal(f.order(), want, f"without {left_out}")


@test
def where_it_does_not_reply():
    """Each step, and all of them with a body of many chunks."""
    for silent in [[m] for m in NR] + [list(NR)]:
        f = Filter(steps=sum(NR[m] for m in silent))
        f.script = {"eom": [add_header("X-Seen", "yes") + CONTINUE]}
        size = 1000000 if len(silent) > 1 else 0
        data = letter("t", size)
        with Filtered({"f": f}) as gw:
            taken(gw.one(data=data))
            _, _, found, body = gw.delivered()
            equal(found[-1], b"X-Seen: yes", "its field")
            equal(body, split(data)[1], "body")
            equal(b"".join(f.seen("eom")[0].body), body, "what it saw")


@test
def skip():
    f = Filter({"body": SKIP}, steps=CAN_SKIP)
    data = letter("t", 300000)
    with Filtered({"f": f}) as gw:
        with gw.client(helo="client.example") as c:
            for n in range(2):
                taken(c.mail("a@b.example", "x@example.net", data))
        f.wait_ended()
        equal(len(f.seen("body")), 2, "chunks")
        for m in gw.mx.wait(2):
            unchanged(m.data, data)


@test
def older_versions():
    for version, silent in ((5, ""), (4, ""), (3, "T"), (2, "TU")):
        f = Filter(version=version, actions=0x3f)
        f.script = {"eom": add_header("X-V", str(version)) + CONTINUE}
        with Filtered({"f": f}) as gw:
            with gw.client(helo="client.example") as c:
                taken(c.mail("a@b.example", "x@example.net", letter("t")))
                c.cmd("BOGUS")
                c.want("QUIT", 221)
            f.wait_ended()
            want = "".join(l for l in "OCHMRTLNBEUQ" if l not in silent)
            equal(f.order(), want, f"version {version}")
            _, _, found, _ = gw.delivered()
            equal(found[-1], b"X-V: %d" % version, "its field")


@test
def recipients_that_we_refuse():
    wants, other = Filter(steps=RCPT_REJ), Filter()
    conf = 'match for domain { "no.example" } reject "550 5.1.9 nobody"\n'
    with Filtered({"wants": wants, "other": other}, conf=conf) as gw:
        with gw.client(helo="client.example") as c:
            c.want("MAIL FROM:<a@b.example>", 250)
            c.want("RCPT TO:<x@example.net>", 250)
            equal(c.cmd("RCPT TO:<y@no.example>"), (550, "5.1.9 nobody"), "")
            c.want("RCPT TO:<z@example.net>", 250)
            c.want("DATA", 354)
            c.send(letter("t") + b".\r\n")
            taken(c.reply())
        told = wants.seen("rcpt")
        equal([e.strings[0] for e in told],
              ["<x@example.net>", "<y@no.example>", "<z@example.net>"], "R")
        m = told[1].macros
        equal(m["{rcpt_mailer}"], "error", "{rcpt_mailer}")
        equal(m["{rcpt_host}"], "5.1.9", "{rcpt_host}")
        match(m["{rcpt_addr}"], "nobody", "{rcpt_addr}")
        equal([e.strings[0] for e in other.seen("rcpt")],
              ["<x@example.net>", "<z@example.net>"], "R of the other")


@test
def unknown_commands():
    """Always an error; outside of transactions alone it is asked."""
    f = Filter()
    with Filtered({"f": f}) as gw:
        with gw.client(helo="client.example") as c:
            for answer in (CONTINUE, REJECT, TEMPFAIL, ACCEPT,
                           reply("550 5.5.1 no such thing")):
                f.script = {"unknown": answer}
                got = c.cmd("BOGUS")
                assert got[0] // 100 in (4, 5), got
            f.forget()
            c.want("MAIL FROM:<a@b.example>", 250)
            equal(c.cmd("BOGUS")[0], 500, "in a transaction")
            equal(f.seen("unknown"), [], "told in a transaction")


@test
def the_ends_of_transactions():
    f = Filter()
    with Filtered({"f": f}) as gw:
        c = gw.client(helo="client.example")
        for line, order in (("RSET", "MRA"), ("EHLO again.example", "MRAH"),
                            ("QUIT", "MRAQ")):
            f.forget()
            c.want("MAIL FROM:<a@b.example>", 250)
            c.want("RCPT TO:<x@example.net>", 250)
            c.cmd(line)
            if order.endswith("Q"):
                f.wait_ended()
            else:
                f.wait(MOMENTS[order[-1]])
            equal(f.order().replace("QA", "AQ"), order, line)
        f.forget()
        c = gw.client(helo="client.example")
        c.want("MAIL FROM:<a@b.example>", 250)
        c.want("RCPT TO:<x@example.net>", 250)
        c.want("DATA", 354)
        c.send("Subject: cut\r\n\r\nhal")
        c.reset()
        f.wait_ended()
        match(f.order(), "^OCHMRTA?Q?$", "a client that went away")
        f.forget()
        with gw.client(helo="client.example") as c:
            c.want("RSET", 250)
            c.want("QUIT", 221)
        f.wait_ended()
        equal(f.order(), "OCHQ", "RSET without MAIL")


main()
