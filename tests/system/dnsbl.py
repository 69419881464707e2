#!/usr/bin/python3
"""DNS lists: asked all at once while the session goes on, weighed, and who
waits for them."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

PATIENCE = 3.9  # seconds that a session waits for lists, nearly
# The name server is the test's own: these are nobody else's.
NET = "127.9.7"
CLEAN, BAD, WORSE, GOOD, PARKED, REFUSED, TOO_MANY, SLOW = (
    f"{NET}.{n}" for n in range(1, 9))

LISTS = '''
table lists { "zen.example" = "3", "zen.example=127.0.0.10" = "-2",
              "other.example=127.0.0.[2..4]" = "2", "white.example" = "-4" }
'''
# None is asked a second time because this machine is slow; and we connect as
# often as we like.
ONCE = "timeout 30s"
CONF = LISTS + '''
limit rate-per-source 100000/1m
action drop discard
match from any for rcpt { "any@box.example" } action drop
match dnsbl lists score 4 for any reject "554 5.7.1 listed twice"
match dnsbl lists score 3 for any reject "550 5.7.1 listed"
match from any for any action drop
'''


def on(source, zone):
    return ".".join(reversed(source.split("."))) + "." + zone


def zone():
    """Of all the lists: who is on which."""
    return {
        on(BAD, "zen.example"): {"A": "127.0.0.2"},
        on(WORSE, "zen.example"): {"A": ["127.0.0.2", "127.0.0.4"]},
        on(WORSE, "other.example"): {"A": "127.0.0.3"},
        on(GOOD, "zen.example"): {"A": "127.0.0.2"},
        on(GOOD, "white.example"): {"A": "127.0.0.2"},
        on(PARKED, "zen.example"): {"A": "192.0.2.80"},
        on(PARKED, "other.example"): {"A": "127.0.0.9"},
        on(REFUSED, "zen.example"): {"A": "127.255.255.254"},
        on(TOO_MANY, "zen.example"): {"A": "127.0.0.10"},
    }


def rcpt(gw, source, to="x@far.example"):
    with gw.client(source=source, helo="c.example") as c:
        c.want("MAIL FROM:<a@client.example>", 250)
        return c.cmd(f"RCPT TO:<{to}>")


@test
def scores():
    dns = DNS(zone())
    with Gateway(dns.conf() + CONF) as gw:
        for source, want in ((CLEAN, 250), (BAD, 550), (WORSE, 554),
                             (GOOD, 250), (PARKED, 250), (REFUSED, 250),
                             (TOO_MANY, 250)):
            equal(rcpt(gw, source)[0], want, source)
        line = gw.wait_log(rf" listed .*client={WORSE} ")
        match(line, r" session=\w+ .*zen\.example=127\.0\.0\.2")
        match(line, r"other\.example=127\.0\.0\.3")
        match(line, r" score=5$")
        match(gw.wait_log(rf" listed .*client={TOO_MANY} "), r" score=1$")
        gw.wait_log(r" resolver dnsbl-parked zone=zen\.example "
                    r"why=192\.0\.2\.80 ")
        gw.wait_log(r" resolver dnsbl-silent zone=zen\.example ")
        equal(gw.log_has(rf" listed .*client={PARKED} "), [])
        equal(gw.stats()["smtpd.listed"], 4, "listed")


@test
def nobody_waits_who_need_not():
    """A list is silent: who needs it waits, not long, and others do not."""
    with DNS(zone()) as dns, Gateway(dns.conf(ONCE) + CONF) as gw:
        dns.add({on(SLOW, "zen.example"): Silent()})
        equal(rcpt(gw, SLOW, "any@box.example")[0], 250, "needs no list")
        # Lists are waited for 4 s: a busy machine may need another try.
        for source in (f"{NET}.{n}" for n in range(20, 40)):
            code, took = answered_late(gw, dns, source)
            if code == 550:
                break
            assert took > PATIENCE, f"{code} after {took:.1f} s"
        equal(code, 550, "the answer has come")
        wait_until(lambda: gw.json("show", "sessions") == [], "none")


def answered_late(gw, dns, source):
    """The code that a session is told behind its list, and after how long."""
    late = Late({"A": "127.0.0.2"})
    dns.add({on(source, "zen.example"): late})
    start = time.monotonic()
    with gw.client(source=source, helo="c.example") as c:
        c.want("MAIL FROM:<a@client.example>", 250)
        c.want("RCPT TO:<any@box.example>", 250)
        c.send("RCPT TO:<x@far.example>\r\n")
        wait_for_list(gw, c, start)
        late.release()
        return c.reply()[0], time.monotonic() - start


def wait_for_list(gw, c, start):
    """This client, there since then, waits; or has waited as long as anybody
    may."""
    wait_until(lambda: [s for s in gw.json("show", "sessions")
                        if s["state"] == "dnsbl"] or readable(c.sock, 0),
               "one that waits")
    took = time.monotonic() - start
    assert took > PATIENCE or not readable(c.sock, 0), f"after {took:.1f} s"


@test
def all_at_once():
    """None of the lists is asked behind another."""
    gates = [Late({"A": "127.0.0.2"}) for _ in range(3)]
    names = ("zen.example", "other.example", "white.example")
    dns = DNS({on(SLOW, z): g for z, g in zip(names, gates)})
    with Gateway(dns.conf(ONCE) + CONF) as gw:
        with gw.client(source=SLOW, helo="c.example"):
            wait_until(lambda: {q.name for q in dns.questions} >=
                       {on(SLOW, z) for z in names}, "all questions")
            for g in gates:
                g.release()
            gw.wait_log(r" listed .*score=1$")


@test
def a_silent_list_counts_nothing():
    dns = DNS(dict(zone(), **{on(SLOW, "zen.example"): Silent(),
                              on(SLOW, "other.example"): {"A": "127.0.0.2"}}))
    conf = dns.conf(ONCE) + CONF.replace("score 3", "score 2")
    with Gateway(conf) as gw:
        equal(rcpt(gw, SLOW)[0], 550, "the one that answers")
        gw.wait_log(r" dnsbl-silent zone=zen\.example why=timeout ")
        match(gw.wait_log(r" listed "), r"lists=other\.example=127\.0\.0\.2 "
              r"score=2$")
        equal(gw.stats()["smtpd.dnsbl_silent"], 1)


@test
def asked_once():
    """However many connections a client makes, and what is known is kept."""
    dns = DNS(zone())
    with Gateway(dns.conf(ONCE) + "workers smtpd 1\n" + CONF) as gw:
        for _ in range(5):
            equal(rcpt(gw, BAD)[0], 550)
        equal(len([q for q in dns.questions
                   if q.name == on(BAD, "zen.example")]), 1)
        equal(gw.stats()["smtpd.dnsbl_asked"], 1)


@test
def not_asked():
    """Who is always allowed, and our own users."""
    dns = DNS(zone())
    with Gateway(dns.conf() + f'allow from "{BAD}"\n' + CONF) as gw:
        equal(rcpt(gw, BAD)[0], 250)
        gw.ctl("send", "-f", "a@b.example", "x@far.example",
               stdin=b"Subject: x\n\nx\n", check=0)
        equal([q.name for q in dns.questions
               if not q.name.endswith("in-addr.arpa")], [])


@test
def without_the_resolver():
    """It dies while somebody waits: no list counts, and mail goes on."""
    dns = DNS({on(SLOW, "zen.example"): Silent()})
    with Gateway(dns.conf(ONCE) + CONF) as gw:
        start = time.monotonic()
        with gw.client(source=SLOW, helo="c.example") as c:
            c.want("MAIL FROM:<a@client.example>", 250)
            c.send("RCPT TO:<x@far.example>\r\n")
            wait_for_list(gw, c, start)
            os.kill(gw.role_pids("resolver")[0],
                    signal.SIGKILL)
            equal(c.reply()[0], 250)


@test
def reload():
    """The table is another one: what was known of it holds no more."""
    dns = DNS(zone())
    with Gateway(dns.conf() + CONF) as gw:
        equal(rcpt(gw, BAD)[0], 550)
        with open(gw.conf_path, encoding="utf-8") as f:
            text = f.read()
        with open(gw.conf_path, "w", encoding="utf-8") as f:
            f.write(text.replace('"zen.example" = "3"', '"zen.example" = "4"'))
        gw.ctl("reload", check=0)
        wait_until(lambda: rcpt(gw, BAD)[0] == 554, "the new weight")


if __name__ == "__main__":
    main()
