#!/usr/bin/python3
"""The flight recorder: what was said in a session is there while it lasts and,
when it ended badly, afterwards; never content, never a secret. Who follows
live sees each line and holds nobody up."""
import os
import signal
import smtplib
import subprocess
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403
from filtered import *  # noqa: E402,F401,F403
from restarted import restart  # noqa: E402
from accounts import Scram  # noqa: E402

CONF = LIMITS + '''
limit junk-commands 1000000 rate-per-subnet 1000000/1s
action drop discard
match for domain { "example.net" } action drop
'''
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def texts(shown, way=None):
    return [l["text"] for l in shown["lines"] if way in (None, l["way"])]


def session_of(gw, pattern, since=0):
    """The session of a line of the log."""
    return re.search(r" session=(\w+)",
                     gw.wait_log(pattern, since=since)).group(1)


def ended(gw, reason, since):
    """What is kept of the session that ended so."""
    sid = session_of(gw, rf"\bdisconnect session=.* reason={reason} ", since)
    shown = gw.json("show", "session", sid)
    equal((shown["session"], shown["live"]), (sid, False))
    equal(texts(shown)[-1], f"ended: {reason}")
    return shown


class Follower:
    """posternctl log session …, its lines as they come."""

    def __init__(self, gw, network, *options, workers=None):
        mark = gw.mark()
        self.proc = subprocess.Popen(
            [f"{gw.build}/posternctl", "-s", gw.control, *options, "log",
             "session", network], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        gw.wait_log(rf"smtpd follow uid={os.getuid()} "
                    rf"network={re.escape(network)}$", since=mark,
                    count=workers or len(gw.role_pids("smtpd")))

    def _read(self):
        for line in self.proc.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait(self, pattern):
        wait_until(lambda: any(re.search(pattern, l) for l in self.lines),
                   f"{pattern} among {self.lines[-20:]}")

    def end(self, sig=signal.SIGINT):
        self.proc.send_signal(sig)
        code = self.proc.wait(DEADLINE)
        self.reader.join(DEADLINE)
        return code


@test
def a_live_session():
    with Gateway(CONF) as gw:
        with gw.client(helo="c.example", source="127.9.6.1") as c:
            queued_id(c.mail("a@b.example", "x@example.net",
                             letter("tok-en-text")))
            sid = gw.json("show", "sessions")[0]["session"]
            shown = gw.json("show", "session", sid)
            equal((shown["session"], shown["live"], shown["client"],
                   shown["helo"]), (sid, True, "127.9.6.1", "c.example"))
            for l in shown["lines"]:
                equal((l["session"], l["client"]), (sid, "127.9.6.1"))
                match(l["time"], f"^{TIME}$")
            equal(texts(shown, "in"),
                  ["EHLO c.example", "MAIL FROM:<a@b.example>",
                   "RCPT TO:<x@example.net>", "DATA"])
            out = texts(shown, "out")
            match(out[0], r"^220 \S+ ESMTP postern$")
            match(out[1], r"^250-")
            match(out[-1], r"^250 2\.0\.0 Ok: queued as \w{16}$")
            notes = texts(shown, "note")
            equal(notes[0], f"connected to {gw.address}:{gw.port}")
            match(notes[1], r"^content \d+ bytes$")
            assert "tok-en-text" not in str(shown), shown
            text = gw.ctl("show", "session", sid, check=0)[1]
            match(text, rf"(?m)^live, command: 127\.9\.6\.1 helo=c\.example$")
            match(text, rf"(?m)^{sid} {TIME} 127\.9\.6\.1$")
            match(text, r"(?m)^ +\d+\.\d{3} < MAIL FROM:<a@b\.example>$")
            match(text, r"(?m)^ +\d+\.\d{3} > 354 ")
            match(text, r"(?m)^ +\d+\.\d{3} - content ")
            c.want("QUIT", 221)
        # It ended well: nothing is to be known of it.
        wait_until(lambda: gw.json("show", "sessions") == [], "its end")
        for unknown in sid, "0" * 16, "x":
            code, out, err = gw.ctl("-j", "show", "session", unknown)
            equal((code, out), (1, ""), err)
            assert err, "said why"


@test
def those_that_failed():
    with Gateway(CONF) as gw:
        mark = gw.mark()
        with gw.client(helo="c.example") as c:
            c.want("MAIL FROM:<a@b.example>", 250)
            got = c.cmd("RCPT TO:<x@elsewhere.example>")
            c.want("QUIT", 221)
        whole = ended(gw, "quit", mark)
        # The id of the refusal's line is the one to ask for.
        sid = session_of(gw, r"\breject session=.* stage=rcpt ", mark)
        shown = gw.json("show", "session", sid)
        equal(texts(shown)[-5:-1],
              ["RCPT TO:<x@elsewhere.example>", f"{got[0]} {got[1]}", "QUIT",
               "221 2.0.0 Bye"])
        equal(shown, whole)

        mark = gw.mark()
        with gw.client(helo="c.example") as c:
            c.want("MAIL FROM:<a@b.example>", 250)
            c.want("RCPT TO:<x@example.net>", 250)
            c.want("DATA", 354)
            c.send("Subject: hidden\r\n")
            wait_until(lambda: gw.json("show", "sessions")[0]["state"] ==
                       "data", "the content")
        shown = ended(gw, "lost", mark)
        match("\n".join(texts(shown)), r"content \d+ bytes, not the whole")
        assert "hidden" not in str(shown)

        mark = gw.mark()
        c = gw.client(helo="c.example")
        c.reset()
        ended(gw, "reset", mark)

        mark = gw.mark()
        with gw.client() as c:
            c.want(b"GET / HTTP/1.1\r\n", 521)
        shown = ended(gw, "not-smtp", mark)
        equal(texts(shown, "in"), ["GET / HTTP/1.1"])

        mark = gw.mark()
        with gw.client() as c:
            c.want(b"EHLO \xff\x00\x1b[2J\x07\n", 500)
        shown = ended(gw, "bare-newline", mark)
        equal(texts(shown, "in"), ["EHLO \ufffd\u2400\x1b[2J\x07"])
        text = gw.ctl("show", "session", shown["session"], check=0)[1]
        match(text, r"< EHLO \\xFF\u2400\\x1B\[2J\\x07\n")

        mark = gw.mark()
        with gw.client() as c:
            c.want("NOOP " + "x" * 3000, 500)
            c.want("QUIT", 221)
        shown = ended(gw, "quit", mark)
        match(texts(shown, "in")[0], r"^NOOP x{50,100}$")


@test
def silent_ones():
    with Gateway(CONF + "limit command-timeout 1s\n") as gw:
        mark = gw.mark()
        # Its EHLO might come too late.
        with gw.client() as c:
            equal(c.reply()[0], 421)
            equal(texts(ended(gw, "timeout", mark), "out")[-1],
                  "421 4.4.2 Timeout")


@test
def early_talkers():
    with Gateway(CONF + "listen on $own_address port $own_port "
                 "greet-delay 5s\n", listen=False) as gw:
        mark = gw.mark()
        c = gw.client(greet=False)
        c.send("EHLO impatient.example\r\n")
        equal(c.reply()[0], 554)
        c.close()
        shown = ended(gw, "early-talker", mark)
        assert "it talks before the greeting" in texts(shown, "note"), shown


@test
def filters():
    f = Filter(script={"rcpt": SHUTDOWN})
    with Filtered({"f": f}) as gw:
        mark = gw.mark()
        with gw.client(helo="c.example") as c:
            c.want("MAIL FROM:<a@b.example>", 250)
            c.want("RCPT TO:<x@example.net>", 421)
        shown = ended(gw, "filter", mark)
        notes = "\n".join(texts(shown, "note"))
        match(notes, r"(?m)^filter f rcpt: shutdown, \d+ ms$")


SECRETS = ("force", "alderaan", "size matters not", "Wrong-1")


def hidden(gw, *shown):
    """No password, in no form that a mechanism gives it."""
    forms = [w for s in SECRETS for w in
             (s, b64(s), *(plain(u, s) for u in ("luke", "leia", "yoda")))]
    for one in shown:
        for form in forms:
            assert form not in one, (form, one)


@test
def secrets():
    """Right and wrong, in the line and behind it, and sent though AUTH was
    refused: all of it live, afterwards, and to who follows."""
    lst = {"mx": "$pkis", "submission": "$pkis tls-require auth accounts",
           "clear": "auth accounts without-tls"}
    with Secured(listeners=lst, conf="limit auth-failures 1000/1m "
                 "auth-delay 0s\n") as gw:
        follower = Follower(gw, "127.0.0.0/8", "-j")
        all_shown = []

        def show(c):
            port = c.sock.getsockname()[1]
            row, = [r for r in gw.json("show", "sessions")
                    if r["port"] == port]
            found = gw.ctl("-j", "show", "session", row["session"], check=0)[1]
            all_shown.append(found)
            return texts(json.loads(found))

        for mechanism in "PLAIN", "LOGIN", "SCRAM-SHA-256":
            for user, right in (("yoda", "size matters not"),):
                for password in right, "Wrong-1":
                    for initial in True, False:
                        with gw.plain("submission") as c:
                            c.starttls(helo="client.example")
                            got = with_auth(c, mechanism, user, password,
                                            initial)
                            equal(got[0], 235 if password == right else 535)
                            shown = show(c)
                            at = [i for i, l in enumerate(shown)
                                  if l.startswith("AUTH ")][0]
                            match(shown[at], rf"^AUTH {mechanism}( \*\*\*)?$")
                            for l in shown[at + 1:-2]:
                                match(l, r"^(334( \*\*\*)?|\*\*\*|334 )$")
                            match(shown[-2], rf"^auth {mechanism} yoda: "
                                  r"(ok|wrong, credentials)$")
                            match("\n".join(shown), r"(?m)^TLS TLSv1\.3 TLS_")
        # What is refused, and what comes behind it as if it were not.
        with gw.plain() as c:
            c.want(f"AUTH PLAIN {plain('luke', 'force')}", 502)
            c.want(f"AUTH {plain('luke', 'force')}", 502)
            c.want("AUTH LOGIN", 502)
            c.want(b64("luke"), 500)
            c.want(b64("force"), 500)
            equal(show(c)[-10:],
                  ["AUTH PLAIN ***", "502 5.5.1 Command not implemented",
                   "AUTH ***", "502 5.5.1 Command not implemented",
                   "AUTH LOGIN", "502 5.5.1 Command not implemented",
                   "***", "500 5.5.2 Command not recognized",
                   "***", "500 5.5.2 Command not recognized"])
        with gw.plain("clear") as c:
            c.want(f"AUTH CRAM-MD5 {b64('luke force')}", 504)
            c.want("AUTH LOGIN", 334)
            c.want("*", 501)
            c.want("AUTH LOGIN", 334)
            c.want(b64("luke"), 334)
            c.want("force!", 501)
            equal([l for l in show(c) if "***" in l],
                  ["AUTH CRAM-MD5 ***", "334 ***", "***", "334 ***", "***",
                   "334 ***", "***"])
        mark = gw.mark()
        with gw.plain("clear") as c:
            c.send(f"AUTH LOGIN\r\n{b64('luke')}\r\n{b64('force')}\r\nQUIT\r\n")
            wait_until(lambda: c.reply()[0] in (0, 503), "the end")
        all_shown.append(str(ended(gw, "pipelining", mark)))
        response = plain("luke", "force")
        for line, end in ((f"AUTH PLAIN {response}\n", "bare-newline"),
                          (f"auth plain {response + 'A' * 20000}\r\n",
                           "closed")):
            mark = gw.mark()
            with gw.plain("clear") as c:
                c.want(line.encode(), 500)
            all_shown.append(str(ended(gw, end, mark)))
        # Where nobody looks for it.
        for words, codes in (
                (f"STARTTLS\r\nAUTH PLAIN {response}", [554]),
                (f"NOOP\r\nAUTH PLAIN {response}", [250, 502]),
                (f"NOOP\nAUTH PLAIN {response}", [500]),
                (f"\0AUTH PLAIN {response}", [521]),
                (f"XCLIENT LOGIN=luke\r\nAUTH LOGIN\r\n{b64('force')}",
                 [502, 502]),
                ("USER luke\r\nPASS force", [500, 500]),
                ("a001 LOGIN luke force", [500]),
                (f"OPTIONS / HTTP/1.1\r\nProxy-Authorization: {response}",
                 [500, 500]),
                ("POST /login?luke&force HTTP/1.1", [521])):
            mark = gw.mark()
            with gw.plain() as c:
                c.send(words.encode() + b"\r\n")
                equal([c.reply()[0] for _ in codes], codes, words)
                c.close()
            sid = session_of(gw, r"\bdisconnect session=", mark)
            all_shown.append(str(gw.json("show", "session", sid)))
        with gw.plain("clear") as c:
            c.want(f"AUTH PLAIN {response}", 235)
            c.want(response, 500)
            equal(show(c)[-2:], ["***", "500 5.5.2 Command not recognized"])
        with gw.plain("clear") as c:
            misplaced = base64.b64encode(b"luke\0force\0").decode()
            c.want(f"AUTH PLAIN {misplaced}", 501)
            equal(show(c)[-2], "auth PLAIN : malformed, syntax")
        follower.wait(r'"AUTH PLAIN \*\*\*"')
        equal(follower.end(), 0)
        hidden(gw, *all_shown, *follower.lines, *gw.log_has(""))


@test
def people_s_clients():
    with Secured() as gw:
        follower = Follower(gw, "127.0.0.0/8")
        s = smtplib.SMTP(gw.address, gw.ports["submission"], timeout=DEADLINE)
        s.starttls(context=context())
        s.login("leia", "alderaan")
        s.sendmail("leia@b.example", ["x@elsewhere.example"], "S: t\r\n\r\nhi")
        s.quit()
        for mechanism in "PLAIN", "LOGIN":
            done = subprocess.run(
                ["swaks", "--server", gw.address, "--port",
                 str(gw.ports["submission"]), "-tls", "--auth", mechanism,
                 "--auth-user", "luke", "--auth-password", "force", "--from",
                 "luke@b.example", "--to", "x@elsewhere.example"],
                capture_output=True, text=True, timeout=4 * DEADLINE)
            equal(done.returncode, 0, done.stdout + done.stderr)
        wait_until(lambda: sum(l.endswith("- ended: quit")
                               for l in follower.lines) == 3, "three ends")
        hidden(gw, *follower.lines)
        equal(sum("queued as" in l for l in follower.lines), 3)
        equal(follower.end(), 0)


@test
def tls_that_fails():
    with Secured() as gw:
        mark = gw.mark()
        with gw.plain() as c:
            c.want("STARTTLS", 220)
            c.send(b"this is no hello\r\n")
        match("\n".join(texts(ended(gw, "tls-failed", mark), "note")),
              r"(?m)^TLS failed: ")


@test
def all_workers():
    """Whichever process had it, before and after its end."""
    with Gateway(CONF + "workers smtpd 2\n") as gw:
        clients = [gw.client(helo=f"c{i}.example") for i in range(24)]
        ids = {r["helo"]: r["session"] for r in gw.json("show", "sessions")}
        equal(len(ids), 24)
        for helo, sid in ids.items():
            shown = gw.json("show", "session", sid)
            equal((shown["live"], texts(shown, "in")), (True, [f"EHLO {helo}"]))
        for c in clients:
            c.want("BANANA", 500)
            c.want("QUIT", 221)
            c.close()
        wait_until(lambda: gw.json("show", "sessions") == [], "their end")
        for helo, sid in ids.items():
            shown = gw.json("show", "session", sid)
            equal((shown["live"], texts(shown, "in")),
                  (False, [f"EHLO {helo}", "BANANA", "QUIT"]))


@test
def long_sessions_keep_their_end():
    with Gateway(CONF) as gw:
        with gw.client(helo="c.example") as c:
            for i in range(400):
                c.want(f"NOOP {i}", 250)
            sid = gw.json("show", "sessions")[0]["session"]
            shown = gw.json("show", "session", sid)
            match(texts(shown)[0], r"^\d+ lines are not kept any more$")
            lost = int(texts(shown)[0].split()[0])
            # 1 note, 220, EHLO and its reply, and 800
            greeting = 3 + len(c.cmd("EHLO c.example")[1].split("\n"))
            equal(lost + len(shown["lines"]) - 1, greeting + 800)
            equal(texts(shown, "in")[-1], "NOOP 399")
            assert len(str(texts(shown))) < 8192


@test
def following():
    with Gateway(CONF + "workers smtpd 2\n") as gw:
        with gw.client(source="127.9.6.1", helo="old.example") as old:
            mine = Follower(gw, "127.9.6.1")
            every = Follower(gw, "127.9.0.0/16", "-j")
            other = Follower(gw, "192.0.2.1")
            old.want("NOOP 1", 250)
            mine.wait(rf"^{TIME} \w{{16}} 127\.9\.6\.1 < NOOP 1$")
            every.wait('"way":"in","text":"NOOP 1"')
            for _ in range(4):
                with gw.client(source="127.9.6.2", helo="new.example") as c:
                    c.want("QUIT", 221)
            wait_until(lambda: sum('"ended: quit"' in l
                                   for l in every.lines) == 4, "the new ones")
            for l in every.lines:
                row = json.loads(l)
                equal(set(row), {"session", "client", "time", "way", "text"})
            equal({l.split(" ")[2] for l in mine.lines}, {"127.9.6.1"})
            equal(other.lines, [])
            mark = gw.mark()
            equal(mine.end(), 0)
            gw.wait_log(r"smtpd follow-end uid=\d+ network=127\.9\.6\.1 "
                        r"lines=\d+$", since=mark, count=2)
            # The others hear on.
            old.want("NOOP 2", 250)
            every.wait('"NOOP 2"')
            # control goes: so do they, and say so.
            os.kill(gw.role_pids("control")[0], signal.SIGKILL)
            equal(every.proc.wait(DEADLINE), 3)
            equal(other.proc.wait(DEADLINE), 3)
            gw.wait_log(r"smtpd follow-end .* network=192\.0\.2\.1", count=2)
            old.want("NOOP 3", 250)
        # One of the workers goes: who follows must not think that he hears
        # it all.
        wait_until(lambda: gw.ctl("show", "sessions")[0] == 0, "control")
        every = Follower(gw, "127.9.0.0/16")
        pid = gw.role_pids("smtpd")[0]
        os.kill(pid, signal.SIGKILL)
        equal(every.proc.wait(DEADLINE), 3)
        for bad in "banana", "127.0.0.1/8", "":
            equal(gw.ctl("log", "session", bad)[0], 2, bad)


@test
def over_a_restart():
    """In a retired process sessions go on as ever, and can be looked at."""
    with Gateway(CONF) as gw:
        with gw.client(helo="old.example") as old:
            sid = gw.json("show", "sessions")[0]["session"]
            follower = Follower(gw, "127.0.0.0/8")
            old.want("NOOP 1", 250)
            follower.wait("< NOOP 1$")
            mark = gw.mark()
            os.kill(gw.proc.pid, signal.SIGUSR2)
            equal(follower.proc.wait(DEADLINE), 3)
            gw.wait_log(r" upgrade .*restarts=", since=mark, alive=True)
            gw.wait_log(r" ready ", since=mark, alive=True)
            old.want("BANANA", 500)
            old.want("DATA", 503)
            old.want("hidden", 500)
            queued_id(old.mail("a@b.example", "x@example.net",
                               letter("tok-en-text")))
            shown = gw.json("show", "session", sid)
            assert shown["live"] and "BANANA" in texts(shown), shown
            follower = Follower(gw, "127.0.0.0/8", workers=2)
            old.want("NOOP 2", 250)
            follower.wait(f"{sid} .* < NOOP 2$")
            mark = gw.mark()
        follower.wait(f"{sid} .* - ended: closed$")
        # The retired process ends with it, and nothing is missed.
        gw.wait_log(r"control peer-gone peer=smtpd instance=1000", since=mark)
        with gw.client(helo="new.example") as c:
            c.want("NOOP 3", 250)
            follower.wait("< NOOP 3$")
        equal(follower.end(), 0)
        assert not gw.log_has("hidden")


@test
def a_follower_that_does_not_read():
    """It misses lines and hears of it; sessions and other questions go on."""
    with Gateway(CONF) as gw:
        slow = Follower(gw, "127.0.0.0/8", "-j")
        with gw.client(helo="first.example") as c:
            slow.wait("first.example")
            os.kill(slow.proc.pid, signal.SIGSTOP)
            quick = Follower(gw, "127.0.0.0/8")
            for i in range(100):
                c.send("".join(f"NOOP {i}-{j} {'x' * 200}\r\n"
                               for j in range(100)))
                for j in range(100):
                    equal(c.reply()[0], 250)
                assert gw.stats()["smtpd.sessions"] == 1
                # Else it might miss some itself.
                quick.wait(f"NOOP {i}-99 ")
            c.want("NOOP last", 250)
            os.kill(slow.proc.pid, signal.SIGCONT)
            slow.wait(r'"\d+ lines were lost: read faster"')

            def there():
                c.want("NOOP again", 250)
                return any('"NOOP again"' in l for l in slow.lines)
            wait_until(there, "new lines")
            told = [json.loads(l) for l in slow.lines]
            lost = sum(int(r["text"].split()[0]) for r in told
                       if "lines were lost" in r["text"])
            assert lost > 0
            equal(slow.end(), 0)
            equal(quick.end(), 0)


@test
def how_much_is_logged():
    debug = r"control control uid=\d+ question=show-stats answer=ok"
    with Gateway(CONF) as gw:
        def logged():
            mark = gw.mark()
            gw.stats()
            gw.ctl("resume", "smtp")
            gw.ctl("log", "session", "192.0.2.1/33")
            gw.ctl("show", "session", "0" * 16)
            gw.client(helo="mark.example").close()
            gw.wait_log(r"smtpd disconnect", since=mark)
            return gw.log_has(debug, since=mark)
        assert not logged()
        match(gw.ctl("log", "verbose", check=0)[1], "verbose")
        gw.wait_log(rf"parent log level=verbose uid={os.getuid()}$")
        wait_until(logged, "more of it")
        gw.ctl("reload", check=0)
        assert logged(), "after a reload"
        pid, = gw.role_pids("control")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: gw.role_pids("control") not in ([], [pid]) and
                   gw.ctl("show", "stats")[0] == 0, "another")
        assert logged(), "of a new process"
        restart(gw)
        assert logged(), "and after a restart"
        equal(gw.json("log", "brief"), {"log": "brief"})
        gw.wait_log(rf"parent log level=brief uid={os.getuid()}$")
        wait_until(lambda: not logged(), "less of it")


@test
def accept_times():
    with Gateway(CONF) as gw:
        with gw.client(helo="c.example") as c:
            for i in range(3):
                queued_id(c.mail("a@b.example", "x@example.net", letter("1")))
        stats = gw.stats()
        equal(stats["smtpd.accept.count"], 3)
        equal(sum(v for k, v in stats.items()
                  if k.startswith("smtpd.accept.le_")), 3)
        assert stats["smtpd.accept.sum_us"] > 0


if __name__ == "__main__":
    main()
