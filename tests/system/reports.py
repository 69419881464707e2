#!/usr/bin/python3
"""Reports to senders: read field by field, when they are made and when not,
and that none is lost."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from dsn import *  # noqa: E402,F401,F403
from postern import *  # noqa: E402,F401,F403

CONF = '''
action out relay to "$hop"
action back relay to "$back"
match for domain { "example.net" } action out
match for domain { "client.example" } action back
queue retry 1s
deliver idle-timeout 0
'''


class Net:
    """A next hop with faults, and the sink of those who sent."""

    def __init__(self, faults=None, conf="", base=CONF, **mx):
        self.mx = MX(faults=faults, **mx)
        self.back = MX(address=own_address(2))
        self.ledger = Ledger()
        self.gw = Gateway(base + conf, {"hop": self.mx.hop,
                                        "back": self.back.hop})

    def __enter__(self):
        self.gw.start()
        return self

    def __exit__(self, kind, value, tb):
        if kind is None:
            self.gw.remove()
        self.mx.close()
        self.back.close()

    def send(self, rcpts=("x@example.net",), token="t", extra="", data=None,
             sender="luke@client.example", params=""):
        with self.gw.client(helo="client.example") as c:
            if data is None:
                data = letter(token, extra=extra)
            reply = c.mail(sender, rcpts, data, params)
            self.ledger.ack(token, reply, len(rcpts))
            return queued_id(reply)

    def report(self, n=1, text=b""):
        """The n-th that came back, of those with this in them."""
        mail = self.back.with_text(text, n)[n - 1]
        equal(mail.sender, "", "the report's sender")
        return Report(mail.data), mail

    def settle(self, duplicates=0):
        """Nothing is queued, and the books balance: the last report may
        still be on its way. Returns the number of duplicates."""
        found = []

        def balanced():
            try:
                found[:] = [self.ledger.check(
                    self.gw, sinks=[self.mx, self.back],
                    duplicates=duplicates)]
            except AssertionError as e:
                found[:] = [e]
            return isinstance(found[0], int)
        self.gw.wait_empty()
        try:
            wait_until(balanced, "the books to balance")
        except AssertionError:
            raise found[0] from None
        return found[0]


def refuse(text):
    return {"rcpt": Reply(text)}


@test
def a_recipient_that_is_refused():
    with Net(refuse("550 5.1.1 No such user here")) as net:
        mid = net.send(extra="Message-ID: <one@client.example>\r\n")
        r, mail = net.report()
        equal(mail.rcpts, ["luke@client.example"], "to the sender")
        f = r.check_rcpt("x@example.net", "failed", r"5\.1\.1",
                         r"^smtp; ?550 5\.1\.1 No such user here$",
                         re.escape(net.mx.address))
        assert "Last-Attempt-Date" in f, f.keys()
        assert "Will-Retry-Until" not in f, f.keys()
        equal(r.fields["X-Postern-Queue-ID"], mid, "the id")
        equal(r.fields["Reporting-MTA"].split()[-1], "mx.test.example",
              "Reporting-MTA")
        match(r.mail["From"], r"MAILER-DAEMON@mx\.test\.example", "From")
        match(r.mail["To"], r"luke@client\.example", "To")
        equal(r.mail["In-Reply-To"], "<one@client.example>", "In-Reply-To")
        equal(r.original["X-Token"], "t", "the original's header")
        equal(r.original["Message-ID"], "<one@client.example>", "its id")
        match(r.text, "No such user here", "what the server said")
        assert b"hello t" not in mail.data, "content came back"
        line = net.gw.wait_log(rf"queue report (?=.*msg={mid})")
        match(line, r"kind=failed .*to=luke@client\.example nrcpt=1", "log")
        # The report is a mail of ours like any other.
        rid = re.search(r"report=(\w{16})", line).group(1)
        equal(net.gw.fate(rid)[0], "delivered", "the report")
        match(r.mail["Received"] or rid, rid, "Received, if there is one")
        net.settle()


@test
def at_every_stage():
    for moment, status in (("mail", "5.7.1"), ("dot", "5.6.0"),
                           ("data", "5.5.1"), ("rcpt", "5.2.1")):
        with Net({moment: Reply(f"554 {status} no, at {moment}")}) as net:
            net.send(token=moment)
            r, _ = net.report()
            r.check_rcpt("x@example.net", "failed", re.escape(status),
                         f"554 {re.escape(status)} no, at {moment}")
            net.settle()


@test
def a_reply_without_a_status():
    """5.0.0 is all that can be said then (RFC 3463)."""
    with Net(refuse("550 go away")) as net:
        net.send()
        r, _ = net.report()
        r.check_rcpt("x@example.net", "failed", r"5\.0\.0",
                     "smtp; ?550 .*go away")
        net.settle()


@test
def our_own_reasons():
    """No server said it: no Diagnostic-Code of SMTP and no Remote-MTA."""
    base = CONF.replace('relay to "$hop"', "relay port 9")
    with DNS({"example.net": {"MX": "0 ."}}) as dns:
        with Net(base=dns.conf("timeout 30s") + base) as net:
            net.send()
            r, _ = net.report()
            f = r.check_rcpt("x@example.net", "failed", r"5\.1\.10")
            assert "Remote-MTA" not in f, f["Remote-MTA"]
            assert not (f["Diagnostic-Code"] or "").startswith("smtp"), \
                f["Diagnostic-Code"]
            net.settle()


@test
def several_recipients_in_one_report():
    def rcpt(text):
        if "good" in text:
            return None
        return Reply("550 5.1.1 no such user" if "gone" in text else
                     "552 5.2.2 mailbox full")
    names = ["gone1", "good1", "full", "gone2", "good2"]
    with Net({"rcpt": rcpt}) as net:
        mid = net.send([f"{n}@example.net" for n in names])
        r, _ = net.report()
        equal(sorted(r.rcpts), ["full@example.net", "gone1@example.net",
                                "gone2@example.net"], "those that failed")
        r.check_rcpt("full@example.net", "failed", r"5\.2\.2", "552 5.2.2")
        r.check_rcpt("gone1@example.net", "failed", r"5\.1\.1", "550 5.1.1")
        match(net.gw.wait_log(rf"queue report (?=.*msg={mid})"), "nrcpt=3",
              "the log")
        net.settle()
        equal(len(net.back.mails()), 1, "reports")


@test
def delayed_then_expired():
    with Net(refuse("450 4.2.0 greylisted, later"),
             "queue warn 1s\nqueue ttl 8s\n") as net:
        mid = net.send(["x@example.net", "y@example.net"])
        r, _ = net.report(text=b"Action: delayed")
        equal(sorted(r.rcpts), ["x@example.net", "y@example.net"], "both")
        for to in r.rcpts:
            r.check_rcpt(to, "delayed", r"4\.2\.0", "450 4.2.0 greylisted")
        match(net.gw.wait_log(rf"queue report (?=.*msg={mid})"),
              "kind=delayed .*nrcpt=2", "the log")
        r, _ = net.report(text=b"Action: failed")
        for to in ("x@example.net", "y@example.net"):
            f = r.check_rcpt(to, "failed", r"5\.4\.7|5\.2\.0|5\.4\.0")
            match(f["Diagnostic-Code"], "greylisted", "the last reply")
        match(r.text, "greylisted", "in words too")
        net.gw.wait_log(rf"queue expired (?=.*msg={mid})", count=2)
        net.settle()
        # One report about the delay, however often it is tried.
        equal(len(net.back.mails()), 2, "reports")


@test
def warned_once_also_after_a_restart():
    with Net(refuse("450 4.2.0 later"), "queue warn 1s\n") as net:
        net.send()
        net.report()
        wait_until(lambda: net.gw.stats()["queue.messages"] == 1,
                   "the report to be delivered")
        net.gw.kill()
        net.gw.start()
        net.mx.wait_command("rcpt", len(
            [v for v, _ in net.mx.commands if v == "rcpt"]) + 3)
        # One that was on its way at the kill may have come twice.
        equal(len(net.gw.log_has("queue report ")), 1, "delay reports")
        before = len(net.back.mails())
        net.gw.ctl("remove", "all", "-y", check=0)
        wait_until(lambda: net.gw.queue() == [], "an administrator's removal")
        equal(len(net.back.mails()), before, "makes no report")


@test
def no_delay_reports_when_off():
    with Net(refuse("450 4.2.0 later"), "queue warn off\nqueue ttl 4s\n") \
            as net:
        net.send()
        r, _ = net.report()
        r.check_rcpt("x@example.net", "failed", r"5\.\d\.\d")
        net.settle()


@test
def nothing_about_a_report():
    """A mail without a sender fails: a line in the log, no mail."""
    with Net(refuse("550 5.1.1 no")) as net:
        mid = net.send(sender="")
        line = net.gw.wait_log(rf"double-bounce (?=.*msg={mid})")
        match(line, r"to=x@example\.net reply=", "the log")
        net.gw.wait_empty()
        equal(net.back.mails(), [], "reports")
    # A sender who is not there: the report fails, and that is the end.
    with Net(refuse("550 5.1.1 no")) as net:
        net.send(sender="ghost@example.net")
        net.gw.wait_log("queue report ")
        net.gw.wait_log("double-bounce .*to=ghost@example.net")
        net.gw.wait_empty()
        equal(net.back.mails(), [], "mails")


@test
def nothing_about_mail_that_never_expires_softly():
    """A delayed mail without a sender warns nobody, and expires early."""
    with Net(refuse("450 4.2.0 later"),
             "queue warn 1s\nqueue report-ttl 4s\n") as net:
        mid = net.send(sender="")
        net.gw.wait_log(rf"queue expired (?=.*msg={mid})")
        net.gw.wait_log(rf"double-bounce (?=.*msg={mid})")
        net.gw.wait_empty()
        equal(net.back.mails(), [], "reports")


PM = 'postmaster "root@client.example"\n'


@test
def double_bounces_go_to_the_postmaster():
    with Net(refuse("550 5.1.1 no"), PM) as net:
        net.send(sender="ghost@example.net", token="ghost")
        r, mail = net.report()
        equal(mail.rcpts, ["root@client.example"], "whom")
        assert {"x@example.net", "ghost@example.net"} & set(r.rcpts), r.rcpts
        net.gw.wait_empty()
        equal(len(net.back.mails()), 1, "reports")
    # And when the postmaster cannot be reached either: the end.
    with Net(refuse("550 5.1.1 no"), PM.replace("client.example",
                                                "example.net")) as net:
        net.send(sender="ghost@example.net")
        net.gw.wait_empty()
        equal(net.back.mails(), [], "mails")
        net.gw.wait_log("double-bounce .*to=root@example.net")


@test
def refused_by_the_rules():
    """The rules say that nobody writes to that sender."""
    with Net(refuse("550 5.1.1 no"),
             base='match for domain { "spam.example" } reject\n' + CONF) \
            as net:
        mid = net.send(sender="x@spam.example")
        net.gw.wait_log(rf"double-bounce (?=.*msg={mid})")
        net.gw.wait_empty()


@test
def by_mx_when_no_rule_matches():
    with DNS({"far.example": {"MX": "10 mx.far.example"},
              "mx.far.example": {"A": own_address(3)}}) as dns:
        with Net(refuse("550 5.1.1 no"),
                 base=dns.conf("timeout 30s") + CONF) as net:
            mid = net.send(sender="luke@far.example")
            line = net.gw.wait_log(rf"queue report (?=.*msg={mid})")
            rid = re.search(r"report=(\w{16})", line).group(1)
            event, line = net.gw.fate(rid)
            # Nobody listens at port 25 there; that it was tried is enough.
            equal(event, "deferred", line)
            match(line, re.escape(own_address(3)), "whom it asked")
            equal(dns.asked("far.example", "MX") != [], True, "by MX")
            net.gw.ctl("remove", "all", "-y", check=0)


@test
def into_the_senders_maildir():
    base = '''
action out relay to "$hop"
action box maildir "$dir/mail/%{rcpt.user}"$owner
match for domain { "example.net" } action out
match for domain { "client.example" } action box
'''.replace("$owner", ' user "mail"' if ROOT else "")
    with Net(refuse("550 5.1.1 no"), base=base) as net:
        net.send()
        wait_until(lambda: net.gw.maildir("luke"), "the report")
        (data,) = net.gw.maildir("luke")
        r = Report(data)
        r.check_rcpt("x@example.net", "failed", r"5\.1\.1")
        equal(r.mail["Return-Path"], "<>", "Return-Path")
        net.ledger.check(net.gw, sinks=[net.mx], maildirs=["luke"])


HOSTILE = (
    b"550 5.1.1 a\x1b[31mred\x07 \xff\xfe \xc3\xa9t\xc3\xa9\r\n",
    b"550-5.1.1 one\r\n550-5.1.1 Subject: forged\r\n550 5.1.1 .\r\n",
    b"550 5.1.1 " + b"w" * 900 + b"\r\n",
    b"550 5.1.1 " + b"many words " * 80 + b"\r\n",
    b"550-5.1.1 \r\n" * 50 + b"550 5.1.1 end\r\n",
    b"550 5.1.1 --boundary\"<>;:,()\\ =?utf-8?q?x?=\r\n",
    b"550 5.1.1\r\n", b"550\r\n", b"550 \r\n",
)


@test
def hostile_replies():
    """O-20: quoted, capped, 7-bit, and no header of their own."""
    for text in HOSTILE:
        with Net({"rcpt": Raw(text)}) as net:
            net.send()
            r, mail = net.report()
            equal(list(r.rcpts), ["x@example.net"], text)
            assert all(b < 127 and (b >= 32 or b in b"\r\n\t")
                       for b in mail.data), text
            assert len(mail.data) < 8192, f"{len(mail.data)} bytes: {text}"
            equal(r.mail.get_all("Subject", [])[1:], [], text)
            net.settle()


@test
def hostile_headers():
    """The original's header block, whatever it is."""
    cases = {
        "no-header": b"\r\njust text\r\n",
        "empty": b"",
        "no-blank": b"X-Token: t\r\nSubject: only a header\r\n",
        "eight-bit": b"X-Token: t\r\nSubject: \xe4\xf6\xfc\r\n\r\nx\r\n",
        "long-line": b"X-Token: t\r\nX-Long: " + b"y" * 5000 + b"\r\n\r\n",
        "many": b"X-Token: t\r\n" + b"".join(
            b"X-%d: %s\r\n" % (i, b"z" * 90) for i in range(900)) + b"\r\n",
        "boundary": b"X-Token: t\r\nContent-Type: multipart/mixed; "
                    b"boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
        "odd-id": b"X-Token: t\r\nMessage-ID: <a b> <c@d>\r\n\r\nx\r\n",
        "huge-id": b"X-Token: t\r\nMessage-ID: <" + b"i" * 2000 +
                   b"@x>\r\n\r\nx\r\n",
        "two-ids": b"Message-ID: <1@x>\r\nMessage-ID: <2@x>\r\n\r\nx\r\n",
    }
    with Net(refuse("550 5.1.1 no")) as net:
        for n, (case, data) in enumerate(cases.items()):
            net.send(data=data, token=case)
            r, mail = net.report(n + 1)
            r.check_rcpt("x@example.net", "failed", r"5\.1\.1")
            assert len(mail.data) < 80000, f"{case}: {len(mail.data)}"
            for name in ("In-Reply-To", "References"):
                if name in r.mail:
                    match(r.mail[name], r"^<[^<>\s]+@[^<>\s]+>$", case)
        net.gw.wait_empty()


@test
def a_large_mail():
    """Its content is in a file, the report has its header alone."""
    with Net({"dot": Reply("554 5.6.0 no")}) as net:
        net.send(data=letter("t", 600000))
        r, mail = net.report()
        equal(r.original["X-Token"], "t", "the header")
        assert len(mail.data) < 8192, len(mail.data)
        net.settle()


@test
def utf8_addresses():
    """RFC 6533: global- types, and sent with SMTPUTF8."""
    data = "Subject: \u00fcber\r\nX-Token: t\r\n\r\nx\r\n".encode()
    with Net(refuse("550 5.1.1 no")) as net:
        net.send(["j\u00f6rg@example.net"], data=data, params=" SMTPUTF8")
        r, mail = net.report()
        equal(list(r.rcpts), ["j\u00f6rg@example.net"], "the recipient")
        match(r.rcpts["j\u00f6rg@example.net"]["Final-Recipient"],
              "^utf-8;", "its type")
        match(mail.data, "message/global-delivery-status", "part 2")
        equal([t for v, t in net.back.commands if v == "mail"],
              ["FROM:<> SMTPUTF8"] if not any(
                  "8BITMIME" in t for v, t in net.back.commands)
              else [t for v, t in net.back.commands if v == "mail"], "MAIL")
        match(net.back.commands, "SMTPUTF8", "with SMTPUTF8")
        net.settle()


@test
def a_loop_of_two_gateways_ends():
    """Each thinks that the other has it; so do the reports, and the mail to
    the postmasters."""
    conf = '''
action out relay to "$hop"
match for any action out
limit hops 10
limit rate-per-source 100000/1m
limit connections-per-source 1000
queue retry 1s
'''
    first = Gateway(conf + 'postmaster "one@loop.example"\n',
                    {"hop": "smtp://127.0.0.1:9"})
    second = Gateway(conf + 'postmaster "two@loop.example"\n', {"hop":
                            f"smtp://{first.address}:{first.port}"})
    first.conf_text = first.conf_text.replace(
        "smtp://127.0.0.1:9", f"smtp://{second.address}:{second.port}")
    first.write_conf()
    with first, second:
        with first.client(helo="client.example") as c:
            for i in range(5):
                queued_id(c.mail("y@loop.example", "x@loop.example",
                                 letter(f"l{i}")))
        wait_until(lambda: sum(
            len(gw.log_has("double-bounce")) for gw in (first, second)) >= 5,
            "every loop to be cut")
        for gw in (first, second):
            gw.wait_empty()
        for gw in (second, first):
            gw.wait_empty()
        total = sum(len(gw.log_has("smtpd accepted ")) for gw in
                    (first, second))
        assert total < 5 * 3 * 12, f"{total} mails were taken"
        match(first.log_has(r"5\.4\.6") + second.log_has(r"5\.4\.6"),
              r"5\.4\.6", "why it ended")


@test
def our_own_loop():
    """O-18: two domains that are each other's, in one gateway."""
    with Net() as net:
        data = "".join(f"Received: from a{i} by b{i}; Mon, 1 Jan 2024 "
                       "00:00:00 +0000\r\n" for i in range(60)).encode()
        with net.gw.client(helo="client.example") as c:
            got = c.mail("a@client.example", "x@example.net",
                         data + letter("t"))
            equal(got[0], 554, got)
            match(got[1], r"^5\.4\.6", "why")


@test
def none_is_lost_when_the_queue_dies():
    """SIGKILL again and again, between failure and report or wherever."""
    rounds = 4  # the parent starts it with more delay each time
    with Net(refuse("550 5.1.1 no"),
             "limit rate-per-source 100000/1m\n") as net:
        for n in range(rounds):
            with net.gw.client(helo="client.example") as c:
                acked = 0
                while acked < 8:
                    token = f"k{n}-{acked}"
                    got = net.ledger.send(c, token, "luke@client.example",
                                          ["x@example.net", "y@example.net"])
                    if got[0] != 250:
                        break
                    acked += 1
            dead = []
            wait_until(lambda: dead.extend(net.gw.role_pids("queue")) or
                       dead, "a queue")
            os.kill(dead[0], signal.SIGKILL)
            wait_until(lambda: set(net.gw.role_pids("queue")) - set(dead),
                       "the next queue")

            def taken():
                try:
                    with net.gw.client(helo="client.example") as c:
                        return net.ledger.send(
                            c, f"probe{n}", "luke@client.example",
                            "x@example.net")[0] == 250
                except (AssertionError, OSError):
                    return False
            wait_until(taken, "mail to be taken again")
        net.gw.ctl("flush", "all")
        # Twice is tolerable after a crash, never none.
        doubles = net.settle(duplicates=rounds * 40)
        for m in net.back.mails():
            Report(m.data)
        print(f"  {len(net.ledger.acked)} acknowledged, {doubles} told twice")


@test
def none_is_lost_when_everything_dies():
    with Net({"rcpt": [Stall()] * 3}) as net:
        ids = [net.send(token=f"e{i}") for i in range(3)]
        assert net.mx.stalled.wait(DEADLINE), "no attempt"
        net.gw.kill()
        with net.mx.changed:
            net.mx.faults["rcpt"] = Reply("550 5.1.1 no")
        net.gw.start()
        mark = net.gw.mark()
        net.gw.ctl("flush", "all")
        for mid in ids:
            net.gw.wait_log(rf"queue report (?=.*msg={mid})")
        assert mark is not None
        net.settle()


main()
