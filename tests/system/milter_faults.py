#!/usr/bin/python3
"""Filters that fail: at every stage, in every way, with every on-failure."""
import concurrent.futures
import os
import sys
import threading
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

from filtered import *  # noqa: E402,F401,F403

PATIENT = "failures 100000"
# For where it is silent or slow in one message and answers the next: time
# enough for one that is only busy.
QUICK = f"{PATIENT} connect-timeout 2s command-timeout 2s " \
        "content-timeout 2s total-timeout 3s"
STAGES = ("accept", "negotiate", "connect", "helo", "mail", "rcpt", "data",
          "header", "eoh", "body", "eom")
# on-failure: what a mail is answered then.
OUTCOMES = {"tempfail": 451, "accept": 250, "reject": 550, "quarantine": 250,
            "disconnect": 421}


def outcomes(how, stages=STAGES, options=PATIENT, policies=OUTCOMES,
             filter_options=None):
    """Fails the first message of a session in this way, at each stage, with
    each policy; the second one, to a filter that is well again, passes."""
    for policy in policies:
        f = Filter(**(filter_options or {}))
        with Filtered({"f": (f, f"on-failure {policy} {options}")}) as gw:
            mails = 0
            for stage in stages:
                f.script = {stage: how}
                c = gw.client(greet=False)
                got = c.reply()
                if got[0] == 220:
                    got = c.cmd("EHLO client.example")
                if got[0] == 250:
                    got = gw.outcome(c)
                what = f"{policy}, {stage}: {got}"
                equal(got[0], OUTCOMES[policy], what)
                match(got[1], r"^[245]\.\d\.\d ", what)
                f.script = {}
                if policy == "disconnect":
                    c.ended()
                    continue
                if policy == "quarantine":
                    mid = queued_id(got)
                    found = [m for m in gw.quarantined() if m["id"] == mid]
                    equal(len(found), 1, what)
                    equal(found[0]["filter"], "f", what)
                mails += policy == "accept"
                c.want("RSET", 250)
                # Message by message it is asked again.
                f.forget()
                taken(c.mail("s@client.example", "x@example.net",
                             letter("t2")))
                mails += 1
                equal(len([e for e in f.seen("eom")
                           if (b"X-Token", b"t2") in e.headers]), 1,
                      f"{what}: asked again")
                equal(len(gw.mx.wait(mails)), mails, what)
                c.want("QUIT", 221)
            gw.wait_log(r" milter .*name=f.*fault=")


@test
def dies_at_every_stage():
    outcomes(Cut())


@test
def resets_at_every_stage():
    outcomes(Reset(), policies=("tempfail", "accept"))


@test
def half_an_answer_at_every_stage():
    outcomes(Cut(CONTINUE, 4), policies=("tempfail", "accept"))


@test
def silent_at_every_stage():
    """Side by side: it is waiting, mostly."""
    jobs = [(policy, STAGES[half::2]) for policy in ("tempfail", "accept")
            for half in (0, 1)]
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        list(pool.map(lambda job: outcomes(Silent(), job[1], QUICK, job[:1]),
                      jobs))


@test
def late_at_every_stage():
    """The late answer is nobody's."""
    outcomes(lambda e: When(threading.Event(), CONTINUE),
             options=QUICK, policies=("tempfail",),
             stages=("negotiate", "mail", "eom"))


@test
def trickles_at_the_end():
    """A byte now and then does not move the deadline of an answer: it would
    be an answer in the end."""
    outcomes(Trickle(add_header("X-Long", "value" * 40) + CONTINUE, 0.1),
             options=f"{PATIENT} content-timeout 2s", policies=("tempfail", "reject"), stages=("eom",))


@test
def lengths():
    """0, 2^31, 2^32-1, and more than anything can be."""
    for head in (b"\0\0\0\0", b"\x80\0\0\0c", b"\xff\xff\xff\xffc",
                 b"\0\x20\0\0b" + b"x" * 65536):
        outcomes(Say(head), policies=("tempfail",), options=PATIENT,
                 stages=("negotiate", "mail", "header", "eom"))


@test
def illegal_answers():
    """Unknown, at the wrong stage, with a payload, before they are due."""
    commands = ("connect", "helo", "mail", "rcpt", "data", "header", "eoh",
                "body")
    edit = add_header("X", "y")
    for how, stages in (
            (Say(packet("z")), commands + ("eom",)),
            (Say(packet("\xff".encode("latin-1"))), ("mail", "eom")),
            (Say(packet("c", b"x")), commands + ("eom",)),
            (Say(packet("a", b"\0")), ("mail", "eom")),
            (CONN_FAIL, ("connect", "mail", "eom")),
            (DISCARD, ("connect", "helo")),
            (SKIP, ("mail", "header", "eoh", "eom")),
            (edit, commands), (quarantine("x"), commands),
            (options(), ("connect", "mail", "eom")),
            (Say(packet("l", b"")), ("eom",)),
            (CONTINUE + CONTINUE, ("mail", "header")),
            (Say(packet("y")), ("mail", "eom")),
            (edit, ("negotiate",)), (CONTINUE, ("negotiate",))):
        outcomes(how, stages=stages, policies=("tempfail",))


@test
def an_answer_where_none_was_due():
    """It said it would never answer there."""
    # Two in one packet: one alone, late, could pass for the reply to what was
    # sent meanwhile.
    for stage in ("mail", "header"):
        outcomes(CONTINUE + CONTINUE, stages=(stage,), policies=("tempfail",),
                 filter_options={"steps": NR[stage]})
    # One alone, when nothing was sent meanwhile.
    f = Filter({"mail": [CONTINUE]}, steps=NR["mail"])
    with Filtered({"f": (f, f"on-failure tempfail {PATIENT}")}) as gw:
        with gw.client(helo="client.example") as c:
            c.want("MAIL FROM:<s@client.example>", 250)
            f.wait_ended()
            refused(c.cmd("RCPT TO:<x@example.net>"), 451)
            c.want("RSET", 250)
            taken(c.mail("s@client.example", "x@example.net", letter("t")))


@test
def negotiations():
    """Versions and bits that were not offered, and what is too short."""
    bad = [options(version=7), options(version=1), options(version=0),
           options(actions=0x3ff), options(actions=0xffffffff),
           options(steps=0x00200000), options(steps=0x80000000),
           Say(packet("O")), Say(packet("O", b"\0\0\0\6\0\0\1\xff")),
           Say(packet("O", b"\0\0\0\6\0\0\0\0\0\0\0\0\0\0")),
           Say(packet("O", b"\0\0\0\6" + b"\0" * 8 + b"\0\0\0\1abc"))]
    for how in bad:
        outcomes(how, stages=("negotiate",), policies=("tempfail",))
    # The bits of sizes are nobody's business.
    f = Filter()
    f.script = {"negotiate": options(steps=0x70000000)}
    with Filtered({"f": f}) as gw:
        taken(gw.one())


@test
def bad_reply_texts():
    """The filter's text is not used; the client gets a proper reply."""
    texts = [b"", b"\0", b"200 2.0.0 fine\0", b"354 go on\0", b"5xx 5.1.1 x\0",
             b"55\0", b"550-half\0", b"550 5.1.1 a\r\n450 4.1.1 b\0",
             b"550 5.1.1 a\r\n\0", b"550 one\nRCPT TO:<a@b>\0",
             b"550 one\r550 two\0", b"550 a\0b\0", b"no code\0",
             b"550-a\r\nb\0", b"551-" + b"\r\n551-".join([b"x"] * 99) +
             b"\r\n551 x\0"]
    f = Filter()
    with Filtered({"f": (f, PATIENT)}) as gw:
        for text in texts:
            for moment in ("mail", "rcpt", "eom"):
                f.script = {moment: Say(packet("y", text))}
                with gw.client(helo="c.example") as c:
                    got = gw.outcome(c)
                    assert got[0] // 100 in (4, 5), (text, got)
                    match(got[1], r"^[45]\.\d\.\d ", repr(text))
                    assert "RCPT" not in got[1], got
                    c.want("NOOP", 250)
        f.script = {"mail": Say(packet("y", b"550 5.1.1 4.1.1 \xff\x01\0"))}
        refused(gw_mail(gw), 550)
        # The class of the enhanced code is that of the code.
        f.script = {"mail": reply("550 4.7.1 text")}
        got = gw_mail(gw)
        assert got[0] // 100 == int(got[1][0]), got
        # As long as libmilter allows.
        f.script = {"mail": reply("550 5.1.1 " + "x" * 970)}
        got = gw_mail(gw)
        equal(got[0], 550, f"{got}")
        assert all(len(line) <= 510 for line in got[1].split("\n")), got
        f.script = {"mail": reply("\r\n".join(
            [f"550-5.1.1 {n}" for n in range(31)] + ["550 5.1.1 31"]))}
        equal(gw_mail(gw)[1].count("\n"), 31, "32 lines")


def gw_mail(gw):
    with gw.client(helo="c.example") as c:
        return c.cmd("MAIL FROM:<a@b.example>")


@test
def absent():
    """M-1: nobody listens, no permission, no such host's port."""
    for policy, code in OUTCOMES.items():
        f = Filter(listen=False)
        with Filtered({"f": (f, f"on-failure {policy} {PATIENT}")}) as gw:
            c = gw.client(greet=False)
            got = c.reply()
            if got[0] == 220:
                c.want("EHLO c.example", 250)
                got = gw.outcome(c)
            equal(got[0], code, f"{policy}: {got}")
            f.listen()
            taken(gw.one("t2"))
    f = Filter(kind="inet", listen=False)
    with Filtered({"f": (f, PATIENT)}) as gw:
        equal(gw_mail(gw)[0], 451, "refused by the port")
        f.listen()
        taken(gw.one())
    if ROOT:
        f = Filter()
        os.chmod(f.address, 0o600)
        with Filtered({"f": (f, PATIENT)}) as gw:
            equal(gw_mail(gw)[0], 451, "no permission")
            gw.wait_log(r"(?i)permission denied")


@test
def comes_back_between_two_messages():
    """A restart of it in an idle moment is not a failure."""
    f = Filter()
    with Filtered({"f": (f, "failures 1 rest 1h")}) as gw:
        with gw.client(helo="client.example") as c:
            taken(c.mail("a@b.example", "x@example.net", letter("one")))
            f.vanish()
            f.wait_ended()
            f.listen()
            taken(c.mail("a@b.example", "x@example.net", letter("two")))
        f.wait_ended()
        equal(f.order(conn=2), "OCHMRTLNBEQ", "told from the beginning")
        equal(f.seen("helo", conn=2)[0].strings, ["client.example"], "helo")
        equal(gw.of_filter("f")["failures"], 0, "failures")


@test
def lost_in_mid_replacement():
    """M-11: the old body stands, and it is 451 even with accept."""
    for policy, code in (("accept", 451), ("tempfail", 451), ("reject", 550)):
        f = Filter()
        with Filtered({"f": (f, f"on-failure {policy} {PATIENT}")}) as gw:
            for how in (Cut(replace_body(b"new body\r\n" * 9000)),
                        Cut(replace_body(b"x" * 65535 * 2), 65535 + 700),
                        replace_body(b"half\r\n") + Say(packet("z"))):
                f.script = {"eom": how}
                equal(gw.one()[0], code, f"{policy}")
            f.script = {"eom": [lambda e: Cut(add_header("X-A", "1"))]}
            got = gw.one("second")
            equal(got[0], 250 if policy == "accept" else code, f"{got}")
            f.script = {}
            taken(gw.one("last"))
            wanted = ["second", "last"] if policy == "accept" else ["last"]
            gw.mx.wait(len(wanted))
            gw.wait_empty()
            for m in gw.mx.mails():
                unchanged(m.data, letter(token_of(m.data)))
            equal(sorted(token_of(m.data) for m in gw.mx.mails()),
                  sorted(wanted), "mails")


@test
def progress():
    """It moves the deadline, and not for ever."""
    f = Filter({"eom": Trickled(PROGRESS, 10, 0.4, CONTINUE)})
    with Filtered({"f": (f, f"{PATIENT} content-timeout 3s")}) as gw:
        taken(gw.one())
    f = Filter()
    with Filtered({"f": (f, QUICK)}) as gw:
        f.script = {"eom": Endless(PROGRESS, 0.05)}
        equal(gw.one()[0], 451, "progress for ever")
        f.script = {"eom": Endless(add_header("X", "y"), 0.05)}
        equal(gw.one()[0], 451, "edits for ever")
        f.script = {"mail": PROGRESS + CONTINUE}
        taken(gw.one())


class Trickled(Say):
    """A packet n times with pauses, then the answer."""

    def __init__(self, what, times, pause, then):
        super().__init__(then.data)
        self.what, self.times, self.pause = what, times, pause

    def play(self, conn):
        for _ in range(self.times):
            conn.send(self.what.data)
            conn.filter.closed.wait(self.pause)
        return super().play(conn)


@test
def a_million_progresses():
    f = Filter({"eom": Say(PROGRESS.data * 1000000) + CONTINUE})
    with Filtered({"f": (f, PATIENT)}) as gw:
        taken(gw.one())


@test
def others_do_not_wait():
    """While one hangs, a session without it, and other filters, go on."""
    f, other = Filter({"mail": Silent()}), Filter()
    conf = 'listen on $own_address port $second milters { other }\n'
    with Filtered({"f": f, "other": other}, "{ f }", conf,
                  values={"second": free_port(own_address())}) as gw:
        c = gw.client(helo="c.example")
        c.send("MAIL FROM:<a@b.example>\r\n")
        assert f.stalled.wait(DEADLINE)
        with Client(gw.address, gw.values["second"], helo="d.example") as d:
            taken(d.mail("a@b.example", "x@example.net", letter("t")))
        gw.mx.wait()
        c.close()
        f.wait_ended()


@test
def goes_deaf():
    """It reads no more while a large body comes."""
    f = Filter({"body": [CONTINUE, Deaf()]})
    with Filtered({"f": (f, QUICK)}) as gw:
        equal(gw.one(data=letter("t", 5000000))[0], 451, "deaf")
        f.script = {}
    f2 = Filter({"body": [NOTHING, Deaf()]}, steps=ALL_NR)
    with Filtered({"f": (f2, QUICK)}) as gw:
        equal(gw.one(data=letter("t", 5000000))[0], 451, "deaf, unasked")


@test
def talks_after_the_end():
    """Packets behind the final answer cost it the connection, and the next
    message is not harmed."""
    f = Filter({"eom": [CONTINUE + add_header("X", "y")]})
    with Filtered({"f": (f, PATIENT)}) as gw:
        with gw.client(helo="c.example") as c:
            got = c.mail("a@b.example", "x@example.net", letter("one"))
            assert got[0] in (250, 451), got
            taken(c.mail("a@b.example", "x@example.net", letter("two")))
        gw.wait_empty()
        for m in gw.mx.mails():
            assert b"X: y" not in m.data.split(b"\r\n"), m.data


@test
def cut_at_every_byte():
    """The whole conversation of one mail, ended after each byte."""
    whole = [("negotiate", options()), ("connect", CONTINUE),
             ("helo", CONTINUE), ("mail", CONTINUE), ("rcpt", CONTINUE),
             ("data", CONTINUE), ("header", CONTINUE), ("eoh", CONTINUE),
             ("body", CONTINUE),
             ("eom", add_header("X-A", "b") + replace_body(b"new\r\n") +
              CONTINUE)]
    f = Filter()
    with Filtered({"f": (f, PATIENT)}) as gw:
        for moment, answer in whole:
            for n in range(len(answer.data)):
                f.script = {moment: Cut(answer, n)}
                with gw.client(helo="c.example") as c:
                    equal(gw.outcome(c)[0], 451, f"{moment}, byte {n}")
        f.script = {m: Trickle(a) for m, a in whole}
        taken(gw.one())
        _, _, found, got = gw.delivered()
        equal((found[-1], got), (b"X-A: b", b"new\r\n"), "byte by byte")
        gw.wait_empty()
    equal(len(gw.mx.mails()), 1, "mails")


@test
def hello_with_odd_bytes():
    """M-17: what a client says comes out of a macro clean."""
    f = Filter()
    with Filtered({"f": f}) as gw:
        with gw.client() as c:
            c.send(b"EHLO {client_addr}\x01\xff.example\r\n")
            c.reply()
            c.send(b"HELO ok.example\r\n")
            c.reply()
            taken(c.mail("a@b.example", "x@example.net", letter("t")))
        for e in f.seen():
            for value in e.macros.values():
                assert not re.search(r"[\0-\x08\r\n]", value), e.macros


main()
