#!/usr/bin/python3
"""What senders wish to be told (RFC 3461): NOTIFY, RET, ENVID and ORCPT, to
next hops that know them, to others, and to a Maildir."""
import itertools
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from dsn import *  # noqa: E402,F401,F403
from postern import *  # noqa: E402,F401,F403
from secured import Secured  # noqa: E402

PLAIN = ("PIPELINING", "8BITMIME", "SIZE 52428800", "SMTPUTF8")
WITH = PLAIN + ("DSN",)

CONF = '''
action out relay to "$hop"
action back relay to "$back"
action box maildir "$dir/box/%{rcpt.user}"
match for domain { "example.net" } action out
match for domain { "box.example" } action box
match for domain { "client.example" } action back
queue retry 1s
limit error-delay 0s
deliver idle-timeout 0
'''


class Net:
    """A next hop, and the sink of those who sent."""

    def __init__(self, extensions=PLAIN, conf="", faults=None):
        self.mx = MX(faults=faults, extensions=extensions)
        self.back = MX(address=own_address(2), extensions=PLAIN)
        self.gw = Gateway(CONF + conf, {"hop": self.mx.hop,
                                        "back": self.back.hop})

    def __enter__(self):
        self.gw.start()
        return self

    def __exit__(self, kind, value, tb):
        if kind is None:
            self.gw.remove()
        self.mx.close()
        self.back.close()

    def send(self, rcpts, mail="", token="t", sender="luke@client.example",
             data=None):
        """rcpts: address and parameters."""
        with self.gw.client(helo="client.example") as c:
            c.want(f"MAIL FROM:<{sender}>{mail}", 250)
            for to, params in rcpts:
                c.want(f"RCPT TO:<{to}>{params}", 250)
            c.want("DATA", 354)
            c.send(stuff(data or letter(token)) + b".\r\n")
            return queued_id(c.reply())

    def report(self, n=1):
        return Report(self.back.wait(n)[n - 1].data)

    def none(self):
        """Nothing came back, and nothing will."""
        self.gw.wait_empty()
        wait_until(lambda: self.gw.queue() == [], "an empty queue")
        equal(len(self.back.mails()), 0, "reports")

    def said(self, verb, n=1):
        """The arguments of its commands."""
        self.mx.wait_command(verb, n)
        return [a for v, a in self.mx.commands if v == verb]


def failing(text="550 5.1.1 no such user"):
    return {"rcpt": lambda a: Reply(text)}


@test
def offered_and_refused():
    with Net() as net, net.gw.client(helo=None) as c:
        match("\n".join(c.want("EHLO client.example", 250).split("\n")),
              r"(?m)\bDSN\b", "EHLO")
        for line, code in (
                ("MAIL FROM:<a@client.example> RET=BOTH", 501),
                ("MAIL FROM:<a@client.example> RET=FULL RET=HDRS", 501),
                ("MAIL FROM:<a@client.example> ENVID=", 501),
                ("MAIL FROM:<a@client.example> ENVID=a+0D+0Ab", 501),
                ("MAIL FROM:<a@client.example> ENVID=a+00b", 501),
                ("MAIL FROM:<a@client.example> ENVID=a+b", 501),
                (f"MAIL FROM:<a@client.example> ENVID={'x' * 101}", 501),
                ("MAIL FROM:<a@client.example> NOTIFY=NEVER", 555),
                # Only under TLS (RFC 8689 3).
                ("MAIL FROM:<a@client.example> REQUIRETLS", 555),
                (f"MAIL FROM:<a@client.example> ENVID={'x' * 100}", 250),
                ("RCPT TO:<b@example.net> NOTIFY=NEVER,SUCCESS", 501),
                ("RCPT TO:<b@example.net> NOTIFY=", 501),
                ("RCPT TO:<b@example.net> NOTIFY=SUCCESS NOTIFY=DELAY", 501),
                ("RCPT TO:<b@example.net> ORCPT=b@example.net", 501),
                ("RCPT TO:<b@example.net> ORCPT=rfc822;b+0Ac@d", 501),
                ("RCPT TO:<b@example.net> RET=FULL", 555),
                ("RCPT TO:<b@example.net> NOTIFY=SUCCESS,DELAY "
                 "ORCPT=rfc822;b+2Bx@example.net", 250)):
            c.want(line, code)
    with Net() as net, net.gw.client(helo=None) as c:
        c.want("HELO client.example", 250)
        c.want("MAIL FROM:<a@client.example> RET=FULL", 555)
        c.want("MAIL FROM:<a@client.example>", 250)
        c.want("RCPT TO:<b@example.net> NOTIFY=NEVER", 555)


NOTIFIES = ["", "NEVER"] + [
    ",".join(n) for k in (1, 2, 3)
    for n in itertools.combinations(("SUCCESS", "FAILURE", "DELAY"), k)]


def all_of(notifies):
    """A recipient with each, ORCPT and all."""
    return [(f"n{i}@example.net",
             (f" NOTIFY={n}" if n else "") + f" ORCPT=rfc822;N{i}+2B@old.x")
            for i, n in enumerate(notifies)]


@test
def every_notify_and_success():
    """A hop that knows DSN is told, and tells; for one that does not we say
    that it was relayed."""
    with Net(WITH) as net:
        net.send(all_of(NOTIFIES), " RET=HDRS ENVID=Q+3D1+2B")
        net.mx.wait(1)
        match(net.said("mail")[0], r"(?=.* RET=HDRS\b)(?=.* ENVID=Q\+3D1\+2B"
              r"(?: |$))", "MAIL")
        for i, (got, n) in enumerate(zip(net.said("rcpt", len(NOTIFIES)),
                                         NOTIFIES)):
            equal(got, f"TO:<n{i}@example.net>" +
                  (f" NOTIFY={n}" if n else "") +
                  f" ORCPT=rfc822;N{i}+2B@old.x", f"RCPT with {n}")
        net.none()
    with Net() as net:
        net.send(all_of(NOTIFIES), " RET=FULL ENVID=Q+3D1+2B")
        r = net.report()
        for line in net.said("mail") + net.said("rcpt"):
            assert not re.search("RET|ENVID|NOTIFY|ORCPT", line), line
        equal(r.fields["Original-Envelope-Id"], "Q=1+", "ENVID")
        wanted = [i for i, n in enumerate(NOTIFIES) if "SUCCESS" in n]
        equal(sorted(r.rcpts), [f"n{i}@example.net" for i in wanted], "who")
        for i in wanted:
            f = r.check_rcpt(f"n{i}@example.net", "relayed", r"2\.0\.0")
            match(f["Original-Recipient"], rf"^rfc822; ?N{i}\+@old\.x$",
                  "ORCPT")
        assert not r.whole, "the body came back"
        net.gw.wait_empty()
        equal(len(net.back.mails()), 1, "reports")


@test
def every_notify_and_failure():
    for ext in (PLAIN, WITH):
        with Net(ext, faults=failing()) as net:
            net.send(all_of(NOTIFIES), " ENVID=1")
            r = net.report()
            wanted = [i for i, n in enumerate(NOTIFIES)
                      if n == "" or "FAILURE" in n]
            equal(sorted(r.rcpts), [f"n{i}@example.net" for i in wanted],
                  "who")
            for i in wanted:
                f = r.check_rcpt(f"n{i}@example.net", "failed", r"5\.1\.1")
                match(f["Original-Recipient"], rf"^rfc822; ?N{i}\+@old\.x$",
                      "ORCPT")
            net.gw.wait_empty()
            equal(len(net.back.mails()), 1, "reports")


@test
def every_notify_and_delay():
    with Net(conf="queue warn 1s\n",
             faults=failing("450 4.2.0 later")) as net:
        net.send(all_of(NOTIFIES))
        r = net.report()
        wanted = [i for i, n in enumerate(NOTIFIES) if n == "" or "DELAY" in n]
        equal(sorted(r.rcpts), [f"n{i}@example.net" for i in wanted], "who")
        for i in wanted:
            r.check_rcpt(f"n{i}@example.net", "delayed", r"4\.2\.0")


@test
def delivered_here():
    with Net() as net:
        net.send([("a@box.example", " NOTIFY=SUCCESS"),
                  ("b@box.example", ""),
                  ("c@box.example", " NOTIFY=NEVER")])
        r = net.report()
        equal(list(r.rcpts), ["a@box.example"], "who")
        f = r.check_rcpt("a@box.example", "delivered", r"2\.0\.0")
        assert "Original-Recipient" not in f, f["Original-Recipient"]
        assert "Original-Envelope-Id" not in r.fields, r.fields.keys()
        net.gw.wait_empty()


@test
def what_comes_back():
    eight = b"Subject: 8\r\n\r\nd\xe4s hier\r\n"
    for ret, data, whole in (("", None, False), (" RET=HDRS", None, False),
                             (" RET=FULL", None, True),
                             (" RET=FULL BODY=8BITMIME", eight, True),
                             (" RET=FULL", letter("big", 200000), False)):
        with Net(faults=failing()) as net:
            net.send([("x@example.net", "")], ret, data=data)
            r = net.report()
            equal(r.whole, whole, f"the body came back with{ret}")
            sent = (data or letter("t")).partition(b"\r\n\r\n")[2]
            equal(sent in r.data, whole, "the body")
            if data is eight:
                equal(r.mail["Content-Transfer-Encoding"], "8bit", "its form")
                match(net.said("ehlo")[0], ".", "EHLO")
                match([a for v, a in net.back.commands if v == "mail"][0],
                      "BODY=8BITMIME", "the report's MAIL")


@test
def nobody_is_told_of_reports():
    """A mail from nobody is never answered, whatever it wishes."""
    with Net() as net:
        net.send([("a@box.example", " NOTIFY=SUCCESS"),
                  ("x@example.net", " NOTIFY=SUCCESS,DELAY")], sender="")
        net.none()


@test
def the_first_notify_counts():
    with Net(WITH) as net:
        net.send([("x@example.net", " NOTIFY=NEVER ORCPT=rfc822;one@x"),
                  ("x@example.net", " NOTIFY=SUCCESS ORCPT=rfc822;two@x")])
        net.mx.wait(1)
        equal(net.said("rcpt"),
              ["TO:<x@example.net> NOTIFY=NEVER ORCPT=rfc822;one@x"], "RCPT")
        net.none()


@test
def never_in_the_clear():
    """REQUIRETLS (RFC 8689): neither it, nor its report, nor what is told of
    that, whatever the next hop says; into a mailbox here it may go."""
    conf = ('postmaster "pm@example.net"\n'
            'action out relay to "$hop"\n'
            'action box maildir "$dir/box/%{rcpt.user}"\n'
            'match for domain { "example.net", "client.example" } action out\n'
            'match for domain { "box.example" } action box\n')
    with Secured(conf, relay=False,
                 mx={"extensions": WITH + ("REQUIRETLS",)}) as gw:
        with gw.tls() as c:
            c.want("MAIL FROM:<luke@client.example> REQUIRETLS RET=FULL", 250)
            c.want("RCPT TO:<x@example.net>", 250)
            c.want("RCPT TO:<b@box.example> NOTIFY=SUCCESS", 250)
            c.want("DATA", 354)
            c.send(stuff(letter("t")) + b".\r\n")
            queued_id(c.reply())
        for to in ("x@example.net", "luke@client.example", "pm@example.net"):
            gw.wait_log(rf"bounced .*to={to} .*5\.7\.30")
        gw.wait_empty()
        equal(len(os.listdir(f"{gw.dir}/box/b/new")), 1, "mails in the box")
        equal([v for v, _ in gw.mx.commands if v in ("mail", "vrfy")], [],
              "what the next hop heard")


@test
def over_a_restart():
    """Nothing of it is in memory alone."""
    faults = failing("450 4.2.0 later")
    with Net(faults=faults) as net:
        net.send([("x@example.net", " NOTIFY=SUCCESS ORCPT=rfc822;X@old.x")],
                 " ENVID=abc RET=HDRS")
        net.mx.wait_command("rcpt")
        net.gw.kill()
        net.mx.faults.clear()
        net.gw.start()
        r = net.report()
        f = r.check_rcpt("x@example.net", "relayed", r"2\.0\.0")
        match(f["Original-Recipient"], r"^rfc822; ?X@old\.x$", "ORCPT")
        equal(r.fields["Original-Envelope-Id"], "abc", "ENVID")


main()
