#!/usr/bin/python3
"""The greeting held back, and those who do not wait for it; the time of a
session; delays that grow."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403


def secured(words, conf="", name="mx", **kw):
    return Secured(conf, listeners={name: "$pkis " + words},
                   values={"friend": own_address(2)}, **kw)


@test
def those_who_wait_are_greeted():
    with secured("greet-delay 50ms") as gw:
        with gw.plain() as c:
            queued_id(c.mail("a@client.example", "x@example.net",
                             letter("patient")))
        gw.wait_empty()
        assert not gw.log_has("early-talker")


@test
def those_who_do_not_are_refused():
    with secured("greet-delay 1m") as gw:
        with gw.connect(greet=False) as c:
            c.send("EHLO bot.example\r\nMAIL FROM:<spam@bot.example>\r\n")
            equal(c.reply()[0], 554)
            assert c.ended()
        gw.wait_log(r"early-talker .*action=refused "
                    r'pregreet="EHLO bot\.example\\x0d\\x0a')
        gw.wait_log(r"reject .*stage=connect .*why=early-talker")
        equal(gw.stats()["smtpd.early_talkers"], 1)
        # A secret is not shown.
        mark = gw.mark()
        with gw.connect(greet=False) as c:
            c.send("EHLO bot.example\r\nauth PLAIN AGEAc2VjcmV0\r\n")
            equal(c.reply()[0], 554)
        gw.wait_log(r'early-talker .*pregreet="EHLO bot\.example\\x0d\\x0a"$',
                    since=mark)


@test
def or_flagged():
    # Time enough to talk before it is over.
    with secured("greet-delay 3s flag", relay=False,
                 before='action out relay to "$hop"\n',
                 conf='match early-talker for any reject '
                      '"550 5.7.1 You talk too early"\n'
                      'match for domain { "example.net" } action out\n'
                 ) as gw:
        with gw.connect(greet=False) as c:
            c.send("EHLO bot.example\r\n")
            equal([c.reply()[0] for _ in range(2)], [220, 250])
            c.want("MAIL FROM:<a@b.example>", 250)
            equal(c.cmd("RCPT TO:<x@example.net>"),
                  (550, "5.7.1 You talk too early"))
        gw.wait_log("early-talker .*action=flagged")
        with gw.plain() as c:
            queued_id(c.mail("a@client.example", "x@example.net",
                             letter("patient")))
        gw.wait_empty()


@test
def friends_do_not_wait():
    with secured('greet-delay 1m except { "$friend" }') as gw:
        gw.plain(source=own_address(2)).close()
    with secured("greet-delay 1m",
                 f'allow from {{ "{own_address(2)}" }}\n') as gw:
        gw.plain(source=own_address(2)).close()


@test
def under_smtps_it_comes_after_the_handshake():
    with secured("smtps greet-delay 1m", name="smtps") as gw:
        with gw.connect("smtps", greet=False) as c:
            c.send("EHLO bot.example\r\n")
            equal(c.reply()[0], 554)
            assert c.ended()
        gw.wait_log("early-talker .*action=refused")
    with secured("smtps greet-delay 50ms", name="smtps") as gw:
        gw.plain("smtps").close()


@test
def a_session_has_its_time():
    # Long enough for a slow machine to begin a transaction in it.
    with secured("", "limit session-time 4s\n") as gw:
        with gw.plain() as c:
            c.want("MAIL FROM:<a@client.example>", 250)
            c.want("RCPT TO:<x@example.net>", 250)
            # The time of one that came later is up, and so its own.
            with gw.connect() as d:
                equal(d.reply()[0], 421)
                assert d.ended()
            gw.wait_log("disconnect .*reason=session-time")
            c.want("DATA", 354)
            wait_until(lambda: gw.stats()["smtpd.sessions"] == 1, "it alone")
            c.send(letter("late") + b".\r\n")
            queued_id(c.reply())


@test
def what_is_not_for_the_clear():
    with secured("tls-require") as gw:
        with gw.connect() as c:
            equal(c.cmd("MAIL FROM:<a@client.example>"),
                  (530, "5.7.0 Must issue a STARTTLS command first"))
            assert "REQUIRETLS" not in c.words()
            for line in ("NOOP", "RSET"):
                c.want(line, 250)
            c.send(b"BDAT 6 LAST\r\nQUIT\r\n")
            equal(c.reply()[0], 530)
            c.starttls(helo="client.example")
            assert "REQUIRETLS" in c.words()
            assert "STARTTLS" not in c.words()
            queued_id(c.mail("a@client.example", "x@example.net",
                             letter("safe")))
        gw.wait_empty()


main()
