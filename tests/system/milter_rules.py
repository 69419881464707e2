#!/usr/bin/python3
"""milter-rules, run for real under libmilter and asked as an MTA asks."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from postern import BUILD

from filtered import Filtered
from mtaside import Closed, MtaSide, z

PROGRAM = f"{BUILD}/milter-rules"
EXE = (b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
       b"--b\r\nContent-Disposition: attachment;\r\n"
       b" filename*0*=utf-8''evil%2E; filename*1=exe\r\n\r\nMZ\r\n--b--\r\n")
ACCEPTED = ("a", b"")


class Rules:
    """The filter on a socket of its own. close() waits for its end."""

    def __init__(self, rules, foreground=True, options=()):
        self.dir = tempfile.mkdtemp(prefix="postern-rules-")
        self.path = f"{self.dir}/socket"
        self.spec = f"unix:{self.path}"
        self.conf = f"{self.dir}/rules"
        self.write(rules)
        self.log = f"{self.dir}/log"
        args = [PROGRAM, "-p", self.spec, "-c", self.conf, *options]
        self.proc = None
        with open(self.log, "w") as log:
            if foreground:
                self.proc = subprocess.Popen(args + ["-f"], stderr=log)
                wait_until(lambda: self.has("ready socket="), "it is ready")
            else:
                equal(subprocess.call(args, stderr=log), 0, "exit status")
        os.chmod(self.dir, 0o755)

    def write(self, rules):
        with open(self.conf, "w") as f:
            f.write(rules)

    def text(self):
        with open(self.log) as f:
            return f.read()

    def has(self, line):
        return line in self.text()

    def reload(self, rules, says):
        """Rules anew; the log says so when they are in force."""
        before = self.text().count(says)
        self.write(rules)
        self.proc.send_signal(signal.SIGHUP)
        wait_until(lambda: self.text().count(says) > before, says)

    def mta(self, **kw):
        return MtaSide(self.path, **kw)

    def one(self, data=b"Subject: x\r\n\r\nhi\r\n", mta=None, **kw):
        with self.mta(**mta or {}) as m:
            return m.mail(data, **kw)

    def processes(self):
        """Those that have our socket among their arguments."""
        found = []
        for p in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{p}/cmdline", "rb") as f:
                    if self.spec.encode() in f.read().split(b"\0"):
                        found.append(int(p))
            except (FileNotFoundError, ProcessLookupError):
                pass
        return found

    def close(self):
        if self.proc is not None and self.proc.poll() is None:
            self.proc.terminate()
            equal(self.proc.wait(DEADLINE), 0, "exit status")
        for p in self.processes():
            os.kill(p, signal.SIGKILL)
        shutil.rmtree(self.dir)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, tb):
        if kind is not None:
            print(self.text())
        self.close()


def index(n, *strings):
    return n.to_bytes(4, "big") + z(*strings)


def run(*args):
    p = subprocess.run([PROGRAM, *args], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=DEADLINE, text=True)
    return p.returncode, p.stdout, p.stderr


@test
def verdicts():
    with Rules('match helo "*.bad" discard\n'
               'match source 10.0.0.0/8 accept\n'
               'match attachment "*.exe" reject "550 5.7.1 not 100% safe"\n'
               'match auth tempfail\n'
               'match mail-from "*@spam.example" quarantine "spam"\n') as r:
        equal(r.one(), ([], ACCEPTED), "nothing matches")
        equal(r.one(mta={"helo": "x.bad"})[1], ("d", b""), "helo")
        equal(r.one(EXE)[1], ("y", z("550 5.7.1 not 100%% safe")), "exe")
        equal(r.one(EXE, mta={"client": "10.1.2.3"}), ([], ACCEPTED), "first")
        equal(r.one(auth="bob")[1], ("y", z("451 4.7.1 Try again later")),
              "auth")
        equal(r.one(sender="a@Spam.Example"), ([("q", z("spam"))], ACCEPTED),
              "quarantine")
        assert r.has("msg=ID1 line=3 verdict=reject"), r.text()


@test
def edits():
    with Rules('match add header X-Added "by rules"\n'
               'match insert header 1 X-Inserted here\n'
               'match remove header "X-Spam-*"\n'
               'match replace header Subject new\n'
               'match replace header X-New "it was not there"\n'
               'match rcpt "x@*" add rcpt copy@example.org\n'
               'match delete rcpt "gone@*"\n'
               'match change sender "<>"\n') as r:
        found, verdict = r.one(
            b"X-Spam-A: 1\r\nSubject: one\r\nx-spam-a: 2\r\nX-Spam-B: 3\r\n"
            b"subject: two\r\n\r\nhi\r\n",
            rcpts=("x@example.org", "gone@example.org"))
        equal(verdict, ACCEPTED, "verdict")
        equal(found, [
            ("m", index(2, "subject", "")), ("m", index(1, "X-Spam-B", "")),
            ("m", index(2, "x-spam-a", "")),
            ("m", index(1, "Subject", "new")),
            ("m", index(1, "X-Spam-A", "")),
            ("h", z("X-Added", "by rules")),
            ("i", index(1, "X-Inserted", "here")),
            ("h", z("X-New", "it was not there")),
            ("+", z("<copy@example.org>")), ("-", z("<gone@example.org>")),
            ("e", z("<>"))], "edits")


@test
def refused_mail_is_not_edited():
    with Rules('match add header X-A a\nmatch reject\n') as r:
        equal(r.one(), ([], ("y", z("550 5.7.1 Command rejected"))), "mail")


@test
def each_mail_anew():
    """What was seen of one mail says nothing of the next."""
    with Rules('match attachment "*.exe" reject "550 5.7.1 exe"\n'
               'match rcpt "bad@*" discard\n') as r, r.mta() as m:
        equal(m.verdict(EXE)[0], "y", "first")
        equal(m.verdict(), ACCEPTED, "second")
        m.begin(rcpts=("bad@example.org",))
        m.abort()
        equal(m.verdict(), ACCEPTED, "behind an abort")
        equal(m.verdict(rcpts=("x@example.org", "bad@example.org"))[0], "d",
              "fourth")


@test
def older_mtas():
    """Without the steps that need no reply; version 2."""
    with Rules('match attachment "*.exe" reject "550 5.7.1 exe"\n'
               'match larger 1K discard\n') as r:
        for kw in ({"steps": 0x7f, "version": 2, "actions": 0x3f},
                   {"steps": 0}, {"steps": 0x1f0000}):
            equal(r.one(EXE, mta=kw)[1], ("y", z("550 5.7.1 exe")), str(kw))
            equal(r.one(b"A: b\r\n\r\n" + b"x" * 200000, mta=kw)[1],
                  ("d", b""), str(kw))


@test
def only_what_is_needed():
    with Rules('match header "Subject" "no" discard\n') as r, r.mta() as m:
        equal(m.actions, 0, "actions")
        equal(m.steps & 0x10, 0x10, "no body wanted")
    with Rules('match add header A b\n') as r:
        with r.mta() as m:
            equal(m.actions, 1, "actions")
        try:
            r.mta(actions=0x10)
            raise AssertionError("taken without what the rules need")
        except Closed:
            pass
        equal(r.one()[0], [("h", z("A", "b"))], "still there")


@test
def reload():
    with Rules("match discard\n") as r, r.mta() as old:
        equal(r.one()[1], ("d", b""), "at first")
        r.reload("match reject\n", "read anew")
        equal(r.one()[1][0], "y", "the new ones")
        equal(old.verdict(), ("d", b""), "of a session that was there")
        r.reload("match reject\nmatch nonsense\n", "the old rules stay")
        assert r.has("rules:2: unknown: nonsense"), r.text()
        equal(r.one()[1][0], "y", "still these")
        os.unlink(r.conf)
        r.proc.send_signal(signal.SIGHUP)
        wait_until(lambda: r.has("No such file"), "it says so")
        r.reload("match accept\n", "read anew")
        equal(r.one()[1], ACCEPTED, "good again")


@test
def many_sessions():
    with Rules('match attachment "*.exe" reject "550 5.7.1 exe"\n') as r:
        sessions = [r.mta() for _ in range(30)]
        for s in sessions:
            s.begin()
        r.reload("match accept\n", "read anew")
        for n, s in enumerate(sessions):
            s.abort()
            equal(s.verdict(EXE if n % 2 else b"A: b\r\n\r\nx")[0],
                  "y" if n % 2 else "a", f"session {n}")
            s.s.close()


@test
def background():
    """Who starts it goes on when it can be asked; one TERM ends it."""
    with Rules("match discard\n", foreground=False) as r:
        equal(r.one()[1], ("d", b""), "verdict")
        found = r.processes()
        equal(len(found), 2, f"processes {found}")
        watcher = [p for p in found if children(p)]
        equal(len(watcher), 1, "one of them is the other's parent")
        os.kill(watcher[0], signal.SIGTERM)
        wait_gone(found)


@test
def nobody_stays_alone():
    """Without the process that can end it the worker ends, and the other way
    round."""
    with Rules("match discard\n") as r:
        workers = children(r.proc.pid)
        equal(len(workers), 1, "workers")
        r.proc.kill()
        r.proc.wait()
        wait_gone(workers)
    with Rules("match discard\n") as r:
        os.kill(children(r.proc.pid)[0], signal.SIGKILL)
        equal(r.proc.wait(DEADLINE), 1, "exit status")


@test
def command_line():
    with tempfile.TemporaryDirectory() as d:
        good, bad = f"{d}/good", f"{d}/bad"
        with open(good, "w") as f:
            f.write("# none\n")
        with open(bad, "w") as f:
            f.write("match\nmatch accept\nmatch reject \"4\"\n")
        equal(run("-n", "-c", good), (0, "configuration OK\n", ""), "-n")
        code, out, err = run("-n", "-c", bad)
        equal((code, out), (1, ""), "-n of a wrong one")
        match(err, r"milter-rules: \S+/bad:1: no action\n"
                   r"milter-rules: \S+/bad:3: the reply has to be .*\n")
        equal(run("-f", "-c", bad, "-p", f"unix:{d}/s")[0], 1, "wrong rules")
        equal(run("-f", "-c", f"{d}/none", "-p", f"unix:{d}/s")[0], 1,
              "no rules")
        equal(run("-f", "-c", good, "-p", "nonsense:1")[0], 1, "no socket")
        equal(run("-c", good, "-p", f"unix:{d}/none/s")[0], 1,
              "in the background, too")
        equal(run("-h")[0], 0, "-h")
        assert "usage: milter-rules" in run("-h")[1]
        for args in ((), ("-f",), ("-x",), ("-n", "more")):
            code, out, err = run(*args)
            equal(code, 2, str(args))
            assert "usage:" in err, err
        equal(run("-f", "-u", "nobody-has-this-name", "-c", good, "-p",
                  f"unix:{d}/s")[0], 1, "no such user")


@test
def another_user():
    if os.getuid() != 0:
        raise Skip("only root can become somebody else")
    d = tempfile.mkdtemp(prefix="postern-rules-")
    os.chmod(d, 0o777)
    with open(f"{d}/rules", "w") as f:
        f.write("match discard\n")
    p = subprocess.Popen([PROGRAM, "-f", "-u", "nobody", "-c", f"{d}/rules",
                          "-p", f"unix:{d}/s"], stderr=subprocess.DEVNULL)
    wait_until(lambda: os.path.exists(f"{d}/s"), "the socket")
    st = os.stat(f"{d}/s")
    equal(st.st_mode & 0o007, 0, "others may not connect")
    for pid in [p.pid] + children(p.pid):
        with open(f"/proc/{pid}/status") as f:
            uids = [l for l in f if l.startswith("Uid:")][0].split()[1:]
        equal(set(uids), {str(st.st_uid)}, f"uids of {pid}")
        assert st.st_uid != 0
    p.terminate()  # at once: whether libmilter hears of signals or not
    equal(p.wait(DEADLINE), 0, "exit status")
    shutil.rmtree(d)


@test
def behind_the_gateway():
    rules = ('match attachment "*.exe" reject "554 5.7.1 no programs"\n'
             'match remove header "X-Mark"\n'
             'match add header X-Checked "yes"\n')
    with Rules(rules) as r:
        os.chmod(r.path, 0o777)
        with Filtered({"rules": r.spec}) as gw:
            equal(gw.one(data=EXE), (554, "5.7.1 no programs"), "reply")
            gw.one(data=b"X-Mark: 1\r\nSubject: fine\r\n\r\nhi\r\n")
            found, body = gw.delivered()[2:]
            equal(found[1:], [b"Subject: fine", b"X-Checked: yes"], "fields")
            equal(body, b"hi\r\n", "body")
            gw.wait_empty()


main()
