#!/usr/bin/python3
"""Every command of posternctl, as text and as JSON, on terminals of every
width, by everybody: the list comes from posternctl itself."""
import datetime
import fcntl
import grp
import os
import pty
import struct
import sys
import termios
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from fakemilter import Filter  # noqa: E402

CONF = '''
control "$dir/control/postern.sock" group "mail" view-group "games"
table domains { "example.net", "two.example" }
table wide file "$dir/wide"
milter quarantiner socket "$mspec"
action out relay to "$hop"
match for rcpt { "aside@two.example" } quarantine out
match for domain domains action out
queue retry 1h
'''
VIEW, CONTENT, CHANGE, NOBODY = "view", "content", "change", "nobody"
# Would make a terminal red, clear it, and turn its letters round.
SLY = "\u009b31m\u202eevil"
HOSTILE = "\x1b[31m\x1b[2J\x07" + SLY
MAIL = b"Subject: s\n\nby hand\n"


class Case:
    """How a command is run. words: behind its own; need: which permission its
    question takes. prepare(world) gives what the words name."""

    def __init__(self, *words, need=VIEW, stdin=None, code=0, endless=False,
                 by_gateway=True):
        self.words, self.need, self.stdin = words, need, stdin
        self.code, self.endless, self.by_gateway = code, endless, by_gateway


# {id}: a mail that waits; {aside}: one in quarantine; {gone}: an operation.
CASES = {
    "show status": Case(),
    "show stats": Case(),
    "show queue": Case(),
    "show destinations": Case(),
    "show message": Case("{id}", need=CONTENT),
    "show headers": Case("{id}", need=CONTENT),
    "show envelope": Case("{id}"),
    "show sessions": Case(),
    "show blocks": Case(),
    "show milters": Case(),
    "show tables": Case(),
    "show session": Case("{session}", need=CONTENT),
    "show operations": Case(),
    "show routes": Case("x@example.net"),
    "flush": Case("{id}", "--dry-run", need=CHANGE),
    "hold": Case("{id}", "--dry-run", need=CHANGE),
    "release": Case("state", "held", "--dry-run", need=CHANGE, code=1),
    "requeue": Case("{id}", "--dry-run", need=CHANGE),
    "remove": Case("{id}", "--dry-run", need=CHANGE),
    "undo": Case("{gone}", "--dry-run", need=CHANGE),
    "trace": Case("{id}"),
    "monitor": Case("1", "1"),
    "quarantine list": Case(),
    "quarantine show": Case("{aside}"),
    "quarantine release": Case("{aside}", "--dry-run", need=CHANGE),
    "quarantine remove": Case("{aside}", "--dry-run", need=CHANGE),
    "quarantine reject": Case("{aside}", "--dry-run", need=CHANGE),
    "quarantine rescan": Case("{aside}", "--dry-run", need=CHANGE),
    "block": Case("192.0.2.0/24", "for", "1h", "reason", "spam wave",
                  need=CHANGE),
    "allow": Case("192.0.2.0/24", need=CHANGE),
    "unblock": Case("192.0.2.0/24", need=CHANGE),
    "pause": Case("domain", "elsewhere.example", "reason", "they asked",
                  need=CHANGE),
    "resume": Case("domain", "elsewhere.example", need=CHANGE),
    "log brief": Case(need=CHANGE),
    "log verbose": Case(need=CHANGE),
    "log session": Case("192.0.2.7", need=CONTENT, endless=True),
    "config diff": Case(need=CHANGE),
    "reload": Case("confirm", "5m", need=CHANGE),
    "confirm": Case(need=CHANGE),
    "resolve": Case("example.net", "A", code=1),
    "test milter": Case("quarantiner", need=CONTENT, stdin=MAIL),
    "test match": Case("from", "a@b.example", "to", "x@example.net"),
    "send": Case("-f", "me@client.example", "x@example.net", stdin=MAIL,
                 need=NOBODY),
    "help": Case(need=NOBODY, by_gateway=False),
    # These end with the gateway, or with its mail: they come last.
    "drain": Case(need=CHANGE),
    "stop": Case(need=CHANGE),
}
LAST = ("drain", "stop")


class World:
    """A gateway with a mail that waits, one in quarantine, one that was
    removed, a session that failed."""

    def __init__(self):
        self.mx = MX(faults={"connect": Reply("421 4.3.2 not now")})
        self.filter = Filter()
        self.gw = gw = Gateway(CONF, {"hop": self.mx.hop,
                                      "mspec": self.filter.spec})
        with open(f"{gw.dir}/wide", "w") as f:
            f.write("x@example.net\ny@example.net\n")
        # The test's own line, instead of the one that every gateway has.
        gw.conf_text = re.sub(r"^control .*\n", "", gw.conf_text, count=1,
                              flags=re.M)
        gw.write_conf()
        gw.start()
        with gw.client(helo="client.example") as c:
            self.ids = [queued_id(c.mail("s@client.example", to,
                                         letter(to[0])))
                        for to in ("x@example.net", "gone@two.example",
                                   "aside@two.example")]
            equal(c.cmd("MAIL FROM:<s@client.example>")[0], 250)
            equal(c.cmd("RCPT TO:<x@far.example>")[0], 550)
        line = gw.wait_log(r" reject .*session=")
        self.names = {"id": self.ids[0], "aside": self.ids[2],
                      "session": re.search(r"session=(\w+)", line).group(1)}
        for mid in self.ids[:2]:
            gw.wait_log(rf"deferred .*msg={mid}")
        # Somebody who stays, and an entry in each list.
        self.client = gw.client(helo="stays.example")
        gw.ctl("block", "198.51.100.7", check=0)
        gone = gw.json("remove", self.ids[1], "reason", HOSTILE)
        self.names["gone"] = str(gone["operation"])

    def words(self, name, case, json=False):
        """The command line."""
        return [f"{BUILD}/posternctl", "-s", self.gw.control,
                *(["-j"] if json else []), *name.split(),
                *(w.format(**self.names) for w in case.words)]

    def run(self, name, json=False, prefix=(), may=True):
        """(exit code, stdout, stderr). may: it is not refused."""
        case = CASES[name]
        p = subprocess.Popen([*prefix, *self.words(name, case, json)],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        if case.endless and may:
            return self.interrupt(p)
        out, err = p.communicate(case.stdin, timeout=DEADLINE)
        return p.returncode, out.decode(), err.decode()

    def interrupt(self, p):
        """It goes on until ^C."""
        wait_until(lambda: p.poll() is not None or is_waiting(p.pid),
                   "it waits")
        if p.poll() is None:
            p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=DEADLINE)
        return p.returncode, out.decode(), err.decode()

    def close(self):
        self.client.close()
        self.gw.remove()
        self.mx.close()
        self.filter.close()


def add_line(gw, line):
    gw.conf_text += line + "\n"
    gw.write_conf()


def is_waiting(pid):
    """In its loop, with a question asked."""
    try:
        with open(f"/proc/{pid}/wchan") as f, \
                open(f"/proc/{pid}/syscall") as g:
            return "epoll" in f.read() or g.read().split()[0] in ("232", "281")
    except (OSError, IndexError):
        return False


def ordered():
    return [n for n in CASES if n not in LAST] + list(LAST)


@test
def every_command_is_tested():
    gw = Gateway("")
    listed = json.loads(gw.ctl("-j", "help", check=0)[1])
    equal({" ".join(c["command"]) for c in listed}, set(CASES), "commands")
    gw.remove()


def check_output(name, out, as_json):
    assert out, f"{name} said nothing"
    if not as_json:
        return
    if name == "monitor":
        for line in out.splitlines():
            json.loads(line)
    else:
        json.loads(out)


def run_all(w, as_json=False, prefix=(), look=None):
    """Each command once, as it should be; look(name, out) looks at it."""
    for name in ordered():
        if name == "reload":
            add_line(w.gw, "queue warn 3h")
        if name == "drain":
            with w.mx.changed:
                w.mx.faults.clear()
        code, out, err = w.run(name, as_json, prefix)
        equal(code, CASES[name].code, f"{name}: {out}{err}")
        if not CASES[name].endless:
            (look or check_output)(name, out, as_json)
    equal(w.gw.proc.wait(DEADLINE), 0, "stopped")


@test
def as_text():
    w = World()
    run_all(w)
    w.close()


@test
def as_json():
    w = World()
    run_all(w, as_json=True)
    w.close()


# --- who may ---

def becoming(user, group):
    """Somebody who is nothing but a member of this group."""
    return ("setpriv", f"--reuid={user}",
            f"--regid={grp.getgrnam(group).gr_gid}", "--clear-groups")


@test
def who_may_look():
    """The view group sees what is not content, the others nothing."""
    if not ROOT:
        raise Skip("needs root to become somebody else")
    w = World()
    for group, may in (("games", (VIEW, NOBODY)), ("news", (NOBODY,))):
        for name in ordered():
            case = CASES[name]
            if name == "monitor" and VIEW in may:
                continue  # a second each; as_text has it
            code, out, err = w.run(name, True, becoming("www-data", group),
                                   case.need in may)
            what = f"{group}: {name}: {out}{err}"
            if case.need in may:
                equal(code, case.code, what)
            else:
                equal((code, out), (1, ""), what)
                match(err, "permission denied", what)
    # Nothing of it had any effect.
    equal(len(w.gw.json("show", "blocks")), 1, "blocks")
    equal(w.gw.json("show", "status")["paused"], [], "paused")
    # But for what they sent: anybody may.
    wait_until(lambda: [m["state"] for m in w.gw.queue()].count(
        "deferred") == 3, "three that wait")
    w.gw.wait_log(r" control uid=33 question=remove |"
                  r"question=change answer=refused")
    w.close()


@test
def who_may_change():
    if not ROOT:
        raise Skip("needs root to become somebody else")
    w = World()
    uid = pwd.getpwnam("www-data").pw_uid
    run_all(w, True, becoming("www-data", "mail"))
    # Who it was stands in the log.
    for what in (rf"reload by=control uid={uid}", rf"stop by=control uid={uid}",
                 rf"operation change=block .*uid={uid}|block .*uid={uid}"):
        w.gw.wait_log(what)
    w.close()


# --- terminals ---

class Terminal:
    """A terminal so many columns wide, and what is printed there."""
    END = b"\0the end\0"

    def __init__(self, columns, rows=24):
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))

    def run(self, argv, stdin=None):
        """(exit code, text, what was said on stderr)"""
        p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=self.theirs,
                             stderr=subprocess.PIPE)
        p.stdin.write(stdin or b"")
        p.stdin.close()
        out = b""
        while p.poll() is None or select.select([self.ours], [], [], 0)[0]:
            if select.select([self.ours], [], [], 0.1)[0]:
                out += os.read(self.ours, 65536)
        # What it wrote may still be on its way through the terminal.
        os.write(self.theirs, self.END)
        while not out.endswith(self.END):
            out += os.read(self.ours, 65536)
        out = out[:-len(self.END)]
        return p.returncode, out.decode(), p.stderr.read().decode()

    def close(self):
        os.close(self.ours)
        os.close(self.theirs)


def is_harmless(c):
    return c in "\t\r\n" or (ord(c) >= 0x20 and not 0x7f <= ord(c) < 0xa0 and
                           c != "\u202e")


@test
def terminals():
    """What is printed fits, and does nothing to them."""
    w = World()
    gw = w.gw
    gw.ctl("block", "192.0.2.0/24", "reason", SLY, check=0)
    gw.ctl("pause", "delivery", "reason", SLY, check=0)
    add_line(gw, 'match for domain { "' + "very-long." * 20 + 'example" } '
             "action out")
    with gw.client(helo="very-" * 11 + "long.example") as c:
        c.want("MAIL FROM:<a@client.example>", 250)
        for columns in (80, 40):
            t = Terminal(columns)
            for name in ordered():
                case = CASES[name]
                if case.endless or name in LAST or name == "send":
                    continue
                code, out, err = t.run(w.words(name, case), case.stdin)
                equal(code, case.code, f"{name}: {out}{err}")
                # A mail is shown as it is.
                for line in out.split("\r\n") if case.need != CONTENT else ():
                    assert len(line) <= columns, \
                        f"{name}, {columns} columns: {line!r}"
                bad = [x for x in out + err if not is_harmless(x)]
                assert not bad, f"{name}: {bad} in {out!r}"
                if name == "unblock":
                    gw.ctl("block", "192.0.2.0/24", "reason", SLY, check=0)
            t.close()
    # A pipe gets whole lines.
    out = gw.ctl("show", "operations", check=0)[1]
    match(out, r"\\x1B\[31m.*\\x1B\[2J.*evil", "operations")
    assert max(map(len, out.splitlines())) > 80, out
    w.close()


# --- readers ---

@test
def a_reader_that_stands_still():
    """Others are answered meanwhile, and it gets all of it when it goes on."""
    w = World()
    gw = w.gw
    with gw.client(helo="client.example") as c:
        for i in range(300):
            queued_id(c.mail("s@client.example",
                             [f"{'x' * 60}{n}@example.net"
                              for n in range(10)], letter("many")))
    p = subprocess.Popen([f"{BUILD}/posternctl", "-s", gw.control, "-j",
                          "show", "queue"], stdout=subprocess.PIPE)
    wait_until(lambda: select.select([p.stdout], [], [], 0)[0], "it prints")
    for _ in range(3):
        gw.json("show", "status")
        equal(len(gw.json("show", "queue", "limit", "7")), 7, "others")
    out = p.stdout.read()
    equal(p.wait(DEADLINE), 0, "exit code")
    equal(len(json.loads(out)), 302, "all of it")
    w.close()


@test
def a_queue_that_stands_still():
    """`show status' says what it cannot know, and does not wait for long."""
    gw = Gateway("match reject\n")
    unknown = "what is paused is not known: the queue does not answer\n"
    with gw:
        queue, = gw.role_pids("queue")
        os.kill(queue, signal.SIGSTOP)
        try:
            code, out, err = gw.ctl("show", "status")
            equal((code, err), (0, ""), out)
            match(out, f"(?m)^{unknown}", "as text")
            code, out, err = gw.ctl("-j", "show", "status")
            equal((code, err), (0, f"posternctl: {unknown}"), out)
            equal(json.loads(out)["paused"], [], "as JSON")
        finally:
            os.kill(queue, signal.SIGCONT)
        wait_until(lambda: unknown not in
                   gw.ctl("show", "status", check=0)[1], "the queue")


@test
def nobody_reads():
    w = World()
    r, wr = os.pipe()
    os.close(r)
    p = subprocess.run(w.words("show queue", CASES["show queue"]), stdout=wr,
                       stderr=subprocess.PIPE, timeout=DEADLINE)
    os.close(wr)
    assert p.returncode != 0, p
    with open("/dev/full", "wb") as full:
        p = subprocess.run(w.words("show queue", CASES["show queue"]),
                           stdout=full, stderr=subprocess.PIPE,
                           timeout=DEADLINE)
    equal(p.returncode, 1, p)
    match(p.stderr, rb"standard output: No space left", "why")
    w.close()


# --- monitor ---

class Following:
    """A command that goes on; its lines as they come."""

    def __init__(self, argv):
        self.proc = subprocess.Popen(argv, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE)
        self.lines, self.errors = [], []
        self.changed = threading.Condition()
        for f, to in ((self.proc.stdout, self.lines),
                      (self.proc.stderr, self.errors)):
            threading.Thread(target=self._read, args=(f, to),
                             daemon=True).start()

    def _read(self, f, to):
        for line in f:
            with self.changed:
                to.append(line.decode())
                self.changed.notify_all()

    def wait(self, condition):
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self), DEADLINE), \
                (self.lines, self.errors)

    def interrupt(self):
        self.proc.send_signal(signal.SIGINT)
        return self.proc.wait(DEADLINE)


@test
def monitor():
    mx = MX()
    gw = Gateway(CONF, {"hop": mx.hop, "mspec": "inet:1@127.0.0.1"})
    open(f"{gw.dir}/wide", "w").close()
    gw.conf_text = re.sub(r"^control .*\n", "", gw.conf_text, count=1,
                          flags=re.M)
    gw.write_conf()
    gw.start()
    m = Following([f"{BUILD}/posternctl", "-s", gw.control, "-j", "monitor"])
    m.wait(lambda m: len(m.lines) >= 1)
    with gw.client(helo="client.example") as c:
        for i in range(5):
            queued_id(c.mail("s@client.example", "x@example.net",
                             letter("m")))
    mx.wait(5)

    def total(key):
        """So many a second since the line before, seconds and all."""
        def seen(m):
            rows = [json.loads(x) for x in m.lines]
            times = [datetime.datetime.fromisoformat(r["time"].rstrip("Z"))
                     for r in rows]
            return sum(r[key] * (b - a).total_seconds() for r, a, b in
                       zip(rows[1:], times, times[1:])) > 4
        return seen
    m.wait(total("accepted"))
    m.wait(total("delivered"))
    keys = set(json.loads(m.lines[0]))
    for k in ("time", "connections", "sessions", "accepted", "rejected",
              "tempfailed", "delivered", "deferred", "bounced",
              "queue_active", "queue_deferred", "queue_held", "commits",
              "batch"):
        assert k in keys, k
    # It waits for a gateway that is not there for a while.
    gw.kill()
    m.wait(lambda m: any("does not answer" in x for x in m.errors))
    n = len(m.lines)
    gw.start()
    m.wait(lambda m: any("is back" in x for x in m.errors))
    m.wait(lambda m: len(m.lines) > n + 1)
    # What an earlier one had counted is no rate.
    assert json.loads(m.lines[n])["accepted"] < 100, m.lines[n]
    equal(m.interrupt(), 0, "^C")
    equal(len(m.errors), 2, m.errors)
    gw.kill()
    equal(gw.ctl("monitor")[0], 3, "nobody there at first")
    gw.remove()
    mx.close()


@test
def monitor_on_a_terminal():
    """Titles come again on every screen."""
    w = World()
    t = Terminal(80, rows=4)
    code, out, err = t.run([f"{BUILD}/posternctl", "-s", w.gw.control, "monitor",
                       "1", "4"])
    t.close()
    lines = [x for x in out.split("\r\n") if x]
    equal([("conn" in x) for x in lines],
          [True, False, False, True, False, False], lines)
    equal(len({len(x) for x in lines}), 1, "columns")
    w.close()


# --- posternctl alone ---

@test
def usage():
    """Every command with words that it does not take; and what helps."""
    gw = Gateway("")
    for name, case in CASES.items():
        if name in ("help", "monitor"):
            continue
        code, out, err = gw.ctl(*name.split(), "--banana", "x", "y", "z", "a",
                                "b", "c", stdin=b"")
        equal((code, out), (2, ""), name)
        assert err, name
    for argv, why in (
            (("stop", "x"), "x: one argument too many"),
            (("trace",), "an argument is missing"),
            (("pause", "x"), "what is x?"),
            (("pause", "domain"), "domain: a value is missing"),
            (("pause", "smtp", "x"), "what is x?"),
            (("resume", "smtp", "reason"), "reason: a value is missing"),
            (("drain", "x", "y"), "what is x?"),
            (("drain", "reason"), "reason: a value is missing"),
            (("reload", "x"), "what is x?"),
            (("reload", "confirm"), "confirm: a value is missing"),
            (("undo", "x"), "x: not an operation"),
            (("undo", "1", "x"), "what is x?"),
            (("undo", "1", "reason"), "reason: a value is missing"),
            (("send", "a@b", "c@d", "e@f"), "a@b: `-f FROM' comes first"),
            (("test", "milter", "m" * 65), "longer than 64 bytes: mmm")):
        code, _, err = gw.ctl(*argv, stdin=b"")
        equal(code, 2, argv)
        said, usage = err.split("\n", 1)
        assert said.startswith(f"posternctl: {why}"), err
        match(usage, "^usage: posternctl ", argv)
    for argv in ((), ("-x",), ("-s",), ("show",), ("quarantine", "x"),
                 ("help", "banana")):
        code, out, err = gw.ctl(*argv)
        equal((code, out), (2, ""), argv)
        assert err, argv
    for argv in (("help",), ("-h",)):
        out = gw.ctl(*argv, check=0)[1]
        for name in CASES:
            match(out, rf"(?m)^posternctl {name}\b", argv)
    match(gw.ctl("help", "trace", check=0)[1], r"^posternctl trace ID\n$")
    # Nobody there.
    for name, case in CASES.items():
        if not case.by_gateway or "{" in "".join(case.words):
            continue
        code, out, err = gw.ctl(*name.split(), *case.words, stdin=b"x\n")
        equal((code, out), (3, ""), name)
        match(err, "No such file|not answer", name)
    gw.remove()


@test
def completion():
    """Words that may stand next, as bash asks for them."""
    script = f"{TOP}/etc/posternctl.bash-completion"
    gw = Gateway("")

    def complete(line):
        words = line.split(" ")
        p = subprocess.run(
            ["bash", "-c", 'source "$1"; shift; COMP_CWORD=$(($# - 1)); '
             'COMP_WORDS=("$@"); _posternctl; printf "%s\\n" '
             '"${COMPREPLY[@]}"', "-", script, *words],
            env=dict(os.environ, PATH=f"{BUILD}:{os.environ['PATH']}"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE)
        equal(p.stderr, b"", line)
        return set(p.stdout.decode().split())
    firsts = {n.split()[0] for n in CASES}
    equal(complete("posternctl "), firsts | {"-s", "-j", "-y"}, "commands")
    equal(complete("posternctl sh"), {"show"}, "show")
    equal(complete("posternctl -j -s /x qu"), {"quarantine"}, "options")
    equal(complete("posternctl show "),
          {n.split()[1] for n in CASES if n.startswith("show ")}, "show")
    equal(complete("posternctl show queue not st"), {"state"}, "filter")
    equal(complete("posternctl hold state d"), {"deferred"}, "a state")
    assert {"all", "reason", "--dry-run", "older"} <= \
        complete("posternctl hold "), "changes"
    assert "all" not in complete("posternctl show queue "), "no change"
    equal(complete("posternctl pause "),
          {"smtp", "delivery", "domain", "reason"}, "pause")
    equal(complete("posternctl reload "), {"confirm"}, "reload")
    equal(complete("posternctl test match from a@b t"), {"tls", "tag", "to"},
          "match")
    equal(complete("posternctl resolve a T"), {"TLSA", "TXT"}, "type")
    gw.remove()


main()
