#!/usr/bin/python3
"""One mail from EHLO to the next hop, and its way as the log tells it."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

RELAY = '''
action out relay to "$hop"
match from any for domain { "example.net" } action out
'''


def walk(user):
    mx = MX()
    with Gateway(RELAY, {"hop": mx.hop}, user=user) as gw:
        c = gw.client()
        match(c.greeting, r"\(220, 'mx\.test\.example .*ESMTP", "greeting")
        code, text = c.cmd("EHLO client.example")
        equal(code, 250, "EHLO")
        words = text.split("\n")
        match(words[0], r"^mx\.test\.example", "EHLO's first line")
        for w in ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES",
                  "SMTPUTF8"):
            assert w in words[1:], f"{w} is not offered: {words}"
        assert any(re.match(r"SIZE \d+$", w) for w in words), words
        data = letter("one")
        reply = c.mail("luke@client.example", "leia@example.net", data)
        match(reply, r"\(250, '2\.0\.0 Ok: queued as", "after the dot")
        mid = queued_id(reply)
        c.want("QUIT", 221)
        c.ended()

        mail = mx.wait()[0]
        equal(mail.sender, "luke@client.example", "sender")
        equal(mail.rcpts, ["leia@example.net"], "recipients")
        received, rest = mail.data[:-len(data)], mail.data[-len(data):]
        equal(rest, data, "content below what we add")
        match(received.decode(), r"^Received: from client\.example \(.*\[" +
              re.escape("127.") + r".*by mx\.test\.example.*" + mid +
              r".*;\s+\w{3}, +\d+ \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}\r\n$",
              "the Received field (RFC 5321 4.4)")

        gw.wait_log(f"delivered.*msg={mid}|msg={mid}.*delivered")
        gw.wait_log("disconnect")
        for pattern in (r"smtpd connect .*client=127\.",
                        rf"smtpd accepted .*msg={mid}",
                        rf"accepted .*from=luke@client\.example",
                        rf"accepted .*nrcpt=1",
                        rf"delivered .*to=leia@example\.net",
                        rf"delivered .*action=out",
                        r"smtpd disconnect .*client=127\."):
            assert gw.log_has(pattern), f"no line in the log: {pattern}"
        gw.wait_empty()
        equal(gw.queue(), [], "show queue")
        equal(gw.stop(), 0, "exit code")
    mx.close()


@test
def as_root_or_whoever_runs_the_test():
    walk(None)


@test
def as_an_ordinary_user():
    if not ROOT:
        raise Skip("the other test is that already")
    walk("nobody")


@test
def two_recipients_travel_together():
    mx = MX()
    with Gateway(RELAY, {"hop": mx.hop}) as gw:
        c = gw.client(helo="client.example")
        c.mail("", ["a@example.net", "b@example.net"], letter("two"))
        mail = mx.wait()[0]
        equal(mail.sender, "", "the empty sender")
        equal(sorted(mail.rcpts), ["a@example.net", "b@example.net"], "rcpts")
        gw.wait_empty()
    equal(len(mx.mails()), 1, "mails")
    mx.close()


@test
def discard_and_refuse():
    conf = '''
action drop discard
match for domain { "drop.example" } action drop
match for domain { "later.example" } tempfail
match for domain { "odd.example" } tempfail "451 4.7.9 come back"
match for domain { "no.example" } reject "550 5.1.9 nobody here"
match for domain { "refused.example" } reject
'''
    with Gateway(conf) as gw:
        c = gw.client(helo="client.example")
        reply = c.mail("a@b.example", "x@drop.example", letter("gone"))
        queued_id(reply)
        c.want("MAIL FROM:<a@b.example>", 250)
        for to, code, text in (
                ("x@later.example", 4, r"^4\."),
                ("x@odd.example", 451, r"^4\.7\.9 come back$"),
                ("x@no.example", 550, r"^5\.1\.9 nobody here$"),
                ("x@refused.example", 5, r"^5\."),
                ("x@elsewhere.example", 550, r"^5\.7\.1 ")):
            got = c.cmd(f"RCPT TO:<{to}>")
            equal(got[0] if code > 9 else got[0] // 100, code, to)
            match(got[1], text, to)
        c.want("DATA", 503)
        gw.wait_empty()


main()
