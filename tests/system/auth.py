#!/usr/bin/python3
"""AUTH over STARTTLS and smtps: every mechanism with every kind of secret,
by clients that people use; whose addresses may be used, what happens to those
who guess, and to a password that was stolen."""
import os
import smtplib
import subprocess
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403
from accounts import Scram, challenge  # noqa: E402

SHOWN = ("PLAIN", "LOGIN")
BOTH = ("submission", "smtps")


@test
def every_mechanism_and_secret():
    """What shows the password does with any kind; SCRAM needs its own."""
    with Secured() as gw:
        for listener in BOTH:
            for user in gw.users:
                for mechanism in SHOWN:
                    with gw.tls(listener, user, mechanism=mechanism) as c:
                        c.want("QUIT", 221)
            with gw.tls(listener, "yoda", mechanism="SCRAM-SHA-256") as c:
                queued_id(c.mail("yoda@b.example", "x@example.net",
                                 letter(f"scram-{listener}")))
        mark = gw.mark()
        with gw.tls() as c:
            pass
        with gw.tls("submission") as c:
            for mechanism in SHOWN + ("SCRAM-SHA-256",):
                for user, password in (("luke", "Force"), ("nobody", "force"),
                                       ("yoda", "size"), ("yoda", "")):
                    got = with_auth(c, mechanism, user, password)
                    assert got[0] in (535, 501), (mechanism, user, got)
            equal(with_auth(c, "SCRAM-SHA-256", "luke", "force")[0], 535,
                  "a hash that SCRAM cannot use")
            c.want("MAIL FROM:<a@b.example>", 250)
            c.want("RCPT TO:<x@elsewhere.example>", 550)
        gw.wait_log(r"\bauth session=\S+ client=127\.\S+ rdns=\S+ user=luke "
                    r"mech=PLAIN result=wrong why=credentials", since=mark)
        assert not gw.log_has(r"\bForce\b"), "a password in the log"
        stats = gw.stats()
        equal(stats["smtpd.auth_ok"], 22, "auth_ok")
        equal(stats["smtpd.auth_failed"], 13, "auth_failed")


@test
def offered_only_where_it_is_safe():
    lst = {"mx": "$pkis auth accounts", "none": "$pkis",
           "submission": "$pkis tls-require auth accounts",
           "clear": "auth accounts without-tls"}
    with Secured(listeners=lst) as gw:
        with gw.plain() as c:
            assert "AUTH" not in c.words(), "AUTH in the clear"
            got = with_auth(c, "PLAIN", "luke", "force")
            equal((got[0], got[1][:6]), (538, "5.7.11"), "in the clear")
            c.starttls(helo="client.example")
            equal(c.words()["AUTH"], ["PLAIN", "LOGIN", "SCRAM-SHA-256"],
                  "under TLS")
            equal(with_auth(c, "PLAIN", "luke", "force")[0], 235, "then")
            equal(with_auth(c, "PLAIN", "luke", "force")[0], 503, "again")
        with gw.plain("submission") as c:
            equal(with_auth(c, "PLAIN", "luke", "force")[0], 530, "required")
            c.want("MAIL FROM:<a@b.example>", 530)
        with gw.tls("none") as c:
            assert "AUTH" not in c.words(), "without a table"
            equal(with_auth(c, "PLAIN", "luke", "force")[0], 502, "no table")
        with gw.plain("clear") as c:
            equal(with_auth(c, "LOGIN", "luke", "force")[0], 235, "loopback")
        # What was known before STARTTLS is forgotten.
        with gw.plain("mx") as c:
            c.starttls()
            equal(with_auth(c, "PLAIN", "luke", "force")[0], 503, "no EHLO")


@test
def python_smtplib():
    with Secured() as gw:
        for n, (listener, cls) in enumerate((("submission", smtplib.SMTP),
                                             ("smtps", smtplib.SMTP_SSL))):
            more = {"context": context()} if listener == "smtps" else {}
            s = cls(gw.address, gw.ports[listener], timeout=DEADLINE, **more)
            if listener == "submission":
                s.starttls(context=context())
            s.login("leia", "alderaan")
            s.sendmail("leia@b.example", ["x@elsewhere.example"],
                       f"Subject: t\r\nX-Token: py{n}\r\n\r\nhi\r\n")
            s.quit()
            data = gw.delivered(n + 1).data
            for field in b"Date: ", b"Message-ID: <":
                assert data.count(b"\r\n" + field) == 1, data


@test
def swaks():
    with Secured() as gw:
        for listener, words in (("submission", ["-tls"]),
                                ("smtps", ["-tlsc"])):
            for mechanism in SHOWN:
                done = subprocess.run(
                    ["swaks", "--server", gw.address, "--port",
                     str(gw.ports[listener]), *words, "--auth", mechanism,
                     "--auth-user", "han", "--auth-password", "falcon",
                     "--from", "han@b.example", "--to",
                     "x@elsewhere.example", "--timeout", str(DEADLINE)],
                    capture_output=True, text=True, timeout=4 * DEADLINE)
                equal(done.returncode, 0, done.stdout + done.stderr)
        for m in gw.mx.wait(4):
            match(m.data.decode(), r"with ESMTPSA\b", "Received")


@test
def fields_of_submitted_mail():
    """Date and Message-ID are there, Bcc is not; by DATA and by BDAT, and
    not for those who only relay to us."""
    with Secured() as gw:
        def text(token):
            return b"Bcc: a@b.example,\r\n c@d.example\r\n" \
                   b"To: x@example.net\r\nSubject: t\r\nX-Token: " + \
                   token.encode() + b"\r\n\r\nBcc: text\r\n"
        with gw.tls("submission", "luke") as c:
            queued_id(c.mail("a@b.example", "x@example.net", text("data")))
            c.want("MAIL FROM:<a@b.example>", 250)
            c.want("RCPT TO:<x@example.net>", 250)
            first, rest = text("bdat")[:30], text("bdat")[30:]
            c.send(b"BDAT 30\r\n" + first)
            equal(c.reply()[0], 250, "first chunk")
            c.send(b"BDAT %d LAST\r\n" % len(rest) + rest)
            queued_id(c.reply())
        with gw.tls() as c:
            queued_id(c.mail("a@b.example", "x@example.net", text("relayed")))
        for token in "data", "bdat":
            data = gw.mx.of(token).data
            assert b"a@b.example" not in data, data
            assert b"c@d.example" not in data, data
            assert data.endswith(b"\r\n\r\nBcc: text\r\n"), data
            for field in b"Date: ", b"Message-ID: <":
                assert data.count(b"\r\n" + field) == 1, data
        data = gw.mx.of("relayed").data
        assert b"c@d.example" in data and b"Message-ID" not in data, data


@test
def whose_addresses():
    before = 'table senders { "luke" = "luke@b.example, @tatooine.example",\n' \
             '    "han" = "han@b\xc3\xbccher.example" }\n'.encode(
                 "latin-1").decode()
    lst = {"submission": "$pkis auth accounts senders senders"}
    with Secured(listeners=lst, before=before) as gw:
        with gw.tls("submission", "luke") as c:
            for sender, code in (("luke@b.example", 250), ("", 250),
                                 ("LUKE@B.Example", 250),
                                 ("x@tatooine.example", 250),
                                 ("leia@b.example", 553),
                                 ("x@sub.tatooine.example", 553)):
                c.want(f"MAIL FROM:<{sender}>", code)
                c.want("RSET", 250)
        with gw.tls("submission", "leia") as c:
            c.want("MAIL FROM:<leia@b.example>", 553)
            c.want("MAIL FROM:<>", 250)
        with gw.tls("submission", "han") as c:
            c.want("MAIL FROM:<han@xn--bcher-kva.example>", 250)
        with gw.tls("submission") as c:
            c.want("MAIL FROM:<leia@b.example>", 250)


@test
def those_who_guess():
    """Over all connections and workers; whoever else comes is served."""
    with Secured(conf="limit auth-failures 4/1h\nlimit auth-delay 10ms\n"
                 "workers smtpd 2 delivery 1\n") as gw:
        for n in range(4):
            with gw.tls("submission", source="127.0.7.1") as c:
                equal(with_auth(c, "LOGIN", "luke", f"guess{n}")[0], 535, n)
        for mechanism in SHOWN + ("SCRAM-SHA-256",):
            with gw.tls("submission", source="127.0.7.1") as c:
                got = with_auth(c, mechanism, "luke", "force")
                equal((got[0], got[1]), (454, "4.7.0 Too many failures, "
                                         "try again later"), "then")
        with gw.tls("submission", "luke", source="127.0.7.2") as c:
            c.want("QUIT", 221)


@test
def rate_of_a_user():
    """What a stolen password sends beyond its limit waits for somebody to
    look at it."""
    with Secured(conf="limit rate-per-user 3/1h\n") as gw:
        with gw.tls("submission", "luke") as c:
            for n in range(3):
                queued_id(c.mail("l@b.example", "x@example.net",
                                 letter(f"ok{n}")))
            mark = gw.mark()
            got = c.mail("l@b.example", "x@example.net", letter("surplus"))
            equal(got[0], 250, "taken all the same")
            gw.wait_log(r"\bheld\b.*user=luke", since=mark)
        # However the name is written, and on whatever connection.
        with gw.tls("smtps") as c:
            equal(with_auth(c, "PLAIN", "LUKE", "force")[0], 235, "LUKE")
            c.mail("l@b.example", "x@example.net", letter("more"))
        with gw.tls("submission", "leia") as c:
            queued_id(c.mail("l@b.example", "x@example.net", letter("leia")))
        equal(sorted(token_of(m.data) for m in gw.mx.wait(4)),
              ["leia", "ok0", "ok1", "ok2"], "delivered")
        gw.wait_stat("queue.rate_held", 2)


OLD_RULES = '''
action out relay to "$hop"
action second relay to "$second"
match for domain { "example.net" } action out
queue retry 1h
'''
NEW_RULES = '''match tag submission !auth reject
match from auth auth user { "luke" } tls for any action second
'''


@test
def requeued_as_its_user():
    """The rules that requeue asks know who sent a mail, and that it came by
    TLS; after a restart, too."""
    second = MX()
    with Secured(conf=OLD_RULES, values={"second": second.hop}, relay=False,
                 mx={"faults": {"connect": Reply("421 4.3.2 not now")}}) as gw:
        ids = []
        for listener, user in (("submission", "luke"), ("smtps", "luke"),
                               ("submission", "leia"), ("mx", None)):
            with gw.tls(listener, user) as c:
                ids.append(queued_id(c.mail(
                    "l@b.example", "x@example.net", letter(f"as-{len(ids)}"))))
        wait_until(lambda: [m["state"] for m in gw.queue()] ==
                   ["deferred"] * 4, "deferred")
        gw.conf_text = gw.conf_text.replace(
            'match for domain { "example.net" } action out\n', NEW_RULES)
        gw.write_conf()
        gw.ctl("reload", check=0)
        gw.ctl("requeue", "id", ids[0], check=0)
        gw.wait_log(rf"delivered msg={ids[0]} .*action=second")
        second.of("as-0")
        equal(gw.stop(), 0, "stop")
        gw.start()
        shown = gw.json("show", "envelope", ids[1])
        equal((shown["user"], shown["tls"]), ("luke", True), "envelope")
        gw.ctl("requeue", "all", check=0)
        second.of("as-1")
        for mid, user in (ids[2], "leia"), (ids[3], ""):
            gw.wait_log(f"requeue-refused msg={mid}")
            shown = gw.json("show", "envelope", mid)
            equal((shown["user"], shown["state"]), (user, "held"), "refused")
    second.close()


@test
def scram_of_nobody():
    """A user that is not there has a salt too, always the same."""
    with Secured() as gw:
        def salt(user):
            with gw.tls("submission") as c:
                first = challenge(c.cmd("AUTH SCRAM-SHA-256 " + b64(
                    Scram(user, "x").first()))).decode()
                c.want("*", 501)
                return first.split(",", 1)[1]
        equal(salt("nobody"), salt("nobody"), "the same each time")
        assert salt("nobody") != salt("no-other"), "one salt for all"


@test
def vault_dies():
    """Whoever authenticates then is told to come back; nobody is let in."""
    with Secured() as gw:
        with gw.tls("submission") as c:
            for pid in gw.role_pids("vault"):
                os.kill(pid, 9)

            def works():
                got = with_auth(c, "PLAIN", "luke", "force")
                assert got[0] in (235, 454), got
                return got[0] == 235
            wait_until(works, "a new vault")


main()
