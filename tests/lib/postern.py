"""What system tests stand on: a gateway of their own, fake peers, a ledger.

A test file imports everything from here, decorates functions with @test and
ends with main(). Each gateway runs in a temporary folder on a loopback
address of its own, so tests run side by side; waits are for events, with
deadlines only so that a broken gateway ends the test.
"""
import json
import os
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("B", os.path.join(TOP, "build")))
PEERS = os.path.join(TOP, "build", "peers")
SANITIZED = "POSTERN_SANITIZE" in os.environ
ROOT = os.getuid() == 0
# Generous: only a broken gateway, or a machine on its knees, gets here.
DEADLINE = 240 if SANITIZED else 120
# Whichever ends a test, its gateways end with it. And of a test in the
# background some are ignored, by every child as well.
for _number in signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM:
    signal.signal(_number, signal.default_int_handler)

_tests = []


class Skip(Exception):
    """Raised by a test that cannot run on this machine."""


def test(fn):
    _tests.append(fn)
    return fn


def readable(f, ms):
    """Whether there is something to read, or its end, within ms (None: for
    ever)."""
    poll = select.poll()
    poll.register(f, select.POLLIN)
    return bool(poll.poll(ms))


def share(things):
    """Those that are for this process: with an argument I/N every Nth, from
    the Ith on."""
    for arg in sys.argv[1:]:
        found = re.fullmatch(r"(\d+)/(\d+)", arg)
        if found:
            return things[int(found[1]) - 1::int(found[2])]
    return things


def main():
    """Runs the tests of the file (or those named as arguments, or a share of
    them)."""
    passed = failed = skipped = 0
    names = [arg for arg in sys.argv[1:] if "/" not in arg]
    for fn in share(_tests):
        if names and fn.__name__ not in names:
            continue
        start = time.monotonic()
        try:
            fn()
            passed += 1
            print(f"ok {fn.__name__} ({time.monotonic() - start:.1f} s)",
                  flush=True)
        except Skip as e:
            skipped += 1
            print(f"skip {fn.__name__}: {e}", flush=True)
        except Exception:  # the report is the point
            failed += 1
            print(f"FAIL {fn.__name__}\n{traceback.format_exc()}", flush=True)
            for gw in list(Gateway.running):
                gw.show_log()
        finally:
            for gw in list(Gateway.running):
                gw.kill()
    print(f"{passed} passed, {failed} failed" +
          (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if failed else 0)


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


def match(got, pattern, what=""):
    """A pattern of bytes is for bytes, one of str for how anything prints."""
    if not re.search(pattern, got if isinstance(pattern, bytes)
                     else str(got), re.S):
        raise AssertionError(f"{what}: {got!r} does not match {pattern!r}")


# --- addresses ---

def own_address(n=1):
    """A loopback address that no other test process uses."""
    pid = os.getpid()
    return f"127.{1 + (pid >> 13) % 200}.{(pid >> 5) % 256}." \
           f"{(pid % 32) * 8 + n % 8}"


_given = set()
_claims = []  # sockets whose names are taken as long as we live
_one_at_a_time = threading.Lock()


def free_port(address):
    """Not given to anybody before who may bind it later."""
    with _one_at_a_time:
        while True:
            with socket.socket() as s:
                s.bind((address, 0))
                place = s.getsockname()[:2]
            if place not in _given:
                _given.add(place)
                return place[1]


def wide_port(address="0.0.0.0"):
    """One for an address that is not ours alone: no other test gets it, and
    the kernel gives these (below 32768) to nobody who connects."""
    for port in range(20000 + os.getpid() % 10000, 32768):
        claim = socket.socket(socket.AF_UNIX)
        with socket.socket() as s:
            try:
                claim.bind(f"\0postern-test-port-{port}")
                s.bind((address, port))
            except OSError:
                claim.close()
                continue
        _claims.append(claim)
        return port
    raise OSError(f"no port is free on {address}")


# --- the gateway ---

# With root, the roles run as users that every Debian has.
USERS = 'user "nobody" queue-user "daemon"\n'


_nameless = []


def no_names():
    """The resolver line of a shared server for which there are no names."""
    with _one_at_a_time:
        if not _nameless:
            _nameless.append(DNS())
    return _nameless[0].conf()


class Gateway:
    """A posternd with a configuration of the test.

    conf is added to the part that every test needs; $dir is the temporary
    folder, $sink (or what `values` names) is replaced too. user: run it as
    this user instead of root. Unless conf has a resolver line of its own
    (names=False: it wants none), no name exists: the machine's name servers
    are never asked.
    """
    running = []

    def __init__(self, conf="", values=None, user=None, build=BUILD,
                 listen=True, log_to_file=False, env=None, names=True,
                 hostname="mx.test.example"):
        self.address = own_address()
        self.port = free_port(self.address)
        self.dir = tempfile.mkdtemp(prefix="postern-test-")
        self.build = build
        self.user = user if ROOT else None
        self.env = env
        self.log_to_file = log_to_file
        self.proc = None
        self.lines = []
        self.rest = b""
        self.changed = threading.Condition()
        self.values = dict({"own_address": self.address,
                            "own_port": self.port}, **values or {},
                           dir=self.dir)
        self.control = f"{self.dir}/control/postern.sock"
        self.submit = f"{self.dir}/control/submit.sock"
        self._make_folders()
        head = f'hostname "{hostname}"\nspool "{self.dir}/spool"\n' \
               f'control "{self.control}"\nlog stderr\n'
        if ROOT and not self.user:
            head += USERS
        if names and not re.search(r"^\s*resolver\s", conf, re.M):
            head += no_names()
        if listen:
            head += f"listen on {self.address} port {self.port}" \
                    f"{self.values.get('listen_options', '')}\n" \
                    f'listen on socket "{self.submit}"\n'
        self.conf_text = head + self.expand(conf)
        self.conf_path = f"{self.dir}/postern.conf"
        self.write_conf()

    def expand(self, text):
        for k in sorted(self.values, key=len, reverse=True):
            text = text.replace("$" + k, str(self.values[k]))
        return text

    def _make_folders(self):
        os.chmod(self.dir, 0o755)
        for sub, owner in (("spool", "daemon"), ("control", "nobody"),
                           ("mail", "mail")):
            path = f"{self.dir}/{sub}"
            os.mkdir(path, 0o755)
            if ROOT:
                who = pwd.getpwnam(self.user or owner)
                os.chown(path, who.pw_uid, who.pw_gid)
        os.chmod(f"{self.dir}/spool", 0o700)
        if self.user:
            who = pwd.getpwnam(self.user)
            os.chown(self.dir, who.pw_uid, who.pw_gid)

    def write_conf(self):
        with open(self.conf_path, "w") as f:
            f.write(self.conf_text)
        os.chmod(self.conf_path, 0o644)

    def set_conf(self, text):
        self.conf_text = self.expand(text)
        self.write_conf()

    def command(self, *args):
        argv = [f"{self.build}/posternd", *args, "-f", self.conf_path]
        if self.user:
            argv = ["setpriv", f"--reuid={self.user}",
                    f"--regid={pwd.getpwnam(self.user).pw_gid}",
                    "--clear-groups", *argv]
        return argv

    def start(self):
        """Starts it and waits for `ready`."""
        with self.changed:
            mark = len(self.lines)
        if self not in Gateway.running:
            Gateway.running.append(self)
        env = dict(os.environ, **(self.env or {}))
        if self.log_to_file:
            self.log_file = open(f"{self.dir}/log", "ab")
            self.proc = subprocess.Popen(
                self.command("-d"), stdin=subprocess.DEVNULL, env=env,
                stderr=self.log_file, start_new_session=True)
            self._wait_port()
            return self
        self.proc = subprocess.Popen(
            self.command("-d"), stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, start_new_session=True, env=env)
        threading.Thread(target=self._read_log, args=(self.proc,),
                         daemon=True).start()
        self.wait_log(r"parent ready|posternd: ready|\"event\":\"ready\"",
                      since=mark, alive=True)
        return self

    def _wait_port(self):
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            with open(f"{self.dir}/log", "rb") as f:
                text = f.read()
            if re.search(rb"parent ready|posternd: ready", text):
                return
            if self.proc.poll() is not None:
                raise AssertionError("the gateway ended: " +
                                     text.decode("utf-8", "replace"))
            select.select([], [], [], 0.05)
        raise AssertionError("the gateway is not ready")

    def _read_log(self, proc):
        going = True
        while going:
            readable(proc.stderr, None)
            with self.changed:
                going = self._take_log(proc)
                self.changed.notify_all()

    def _take_log(self, proc):
        """Under the lock: what is there. False at its end."""
        if not readable(proc.stderr, 0):
            return True
        chunk = os.read(proc.stderr.fileno(), 65536)
        more = chunk or self.rest and b"\n"
        *lines, self.rest = (self.rest + more).split(b"\n")
        for line in lines:
            self.keep_line(line.decode("utf-8", "replace"))
        return bool(chunk)

    def keep_line(self, line):
        self.lines.append(line)

    def mark(self):
        """Behind all that was written until now."""
        with self.changed:
            log = self.proc.stderr if self.proc else None
            while log and readable(log, 0) and self._take_log(self.proc):
                pass
            return len(self.lines)

    def wait_log(self, pattern, since=0, count=1, alive=False,
                 timeout=None):
        """Waits for (count) lines that match, from line `since` on; returns
        the last of them."""
        rx = re.compile(pattern)
        end = time.monotonic() + (timeout or DEADLINE)
        with self.changed:
            while True:
                hits = [l for l in self.lines[since:] if rx.search(l)]
                if len(hits) >= count:
                    return hits[count - 1]
                if alive and self.proc.poll() is not None:
                    raise AssertionError("the gateway ended: " +
                                         "\n".join(self.lines[since:]))
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"no line in the log: {pattern}")
                self.changed.wait(min(left, 0.5))

    def log_has(self, pattern, since=0):
        with self.changed:
            return [l for l in self.lines[since:] if re.search(pattern, l)]

    def fate(self, mid, to=None, event="delivered|deferred|bounced|expired",
             since=0):
        """What became of a mail, or of one recipient of it, as the log
        tells: (event, line)."""
        whom = rf"(?=.* to={re.escape(to)} )" if to else ""
        line = self.wait_log(rf" queue (?:{event}) (?=.*msg={mid}){whom}",
                             since=since)
        return re.search(r" queue (\w+) ", line).group(1), line

    def show_log(self):
        with self.changed:
            for line in self.lines[-200:]:
                print("  log:", line)

    # --- ends ---

    def pids(self):
        """Every process of it, the parent first."""
        if not self.proc:
            return []
        found, todo = [], [self.proc.pid]
        while todo:
            pid = todo.pop(0)
            found.append(pid)
            todo += children(pid)
        return found

    def role_pids(self, role):
        return [p for p in self.pids()[1:] if role in cmdline(p)]

    def kill(self):
        """SIGKILL to all of it at once, and wait until all are gone."""
        if self in Gateway.running:
            Gateway.running.remove(self)
        if not self.proc:
            return
        pids = self.pids()
        for sig in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                try:
                    os.kill(pid, sig)
                except ProcessLookupError:
                    pass
        self.proc.wait()
        wait_gone(pids)
        self.mark()  # what it still said is no line of the next one
        self.proc = None

    def stop(self):
        """TERM, as an administrator stops it."""
        pids = self.pids()
        self.proc.terminate()
        code = self.proc.wait(DEADLINE)
        wait_gone(pids)
        self.mark()
        self.proc = None
        if self in Gateway.running:
            Gateway.running.remove(self)
        return code

    def remove(self):
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, tb):
        if kind is None:
            self.remove()
        # else main() shows the log and kills it

    # --- questions ---

    def ctl(self, *args, stdin=None, check=None):
        """posternctl with -j where the caller says so; returns
        (exit code, stdout, stderr)."""
        p = subprocess.run(
            [f"{self.build}/posternctl", "-s", self.control, *args],
            input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            timeout=DEADLINE)
        out = p.stdout.decode("utf-8", "replace")
        err = p.stderr.decode("utf-8", "replace")
        if check is not None:
            equal(p.returncode, check, f"posternctl {args}: {out}{err}")
        return p.returncode, out, err

    def json(self, *args):
        return json.loads(self.ctl("-j", *args, check=0)[1])

    def stats(self):
        return self.json("show", "stats")

    def queue(self):
        return self.json("show", "queue")

    def wait_stat(self, name, want):
        """Asks until the number is (at least) there."""
        def there():
            value = self.stats().get(name, 0)
            return value == want if want == 0 else value >= want
        wait_until(there, f"{name} to be {want}")

    def wait_empty(self):
        # Without a queue there is no such number.
        wait_until(lambda: self.stats().get("queue.messages") == 0,
                   "the queue to be empty")

    def client(self, **kw):
        return Client(self.address, self.port, **kw)

    def maildir(self, user="", sub="new"):
        """The files of a Maildir below mail/."""
        path = f"{self.dir}/mail/{user}/{sub}"
        if not os.path.isdir(path):
            return []
        found = []
        for name in sorted(os.listdir(path)):
            with open(f"{path}/{name}", "rb") as f:
                found.append(f.read())
        return found


def children(pid):
    kids = []
    try:
        for tid in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{tid}/children") as f:
                kids += [int(p) for p in f.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return kids


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return [os.path.basename(a.decode()) for a in
                    f.read().split(b"\0")[:1]]
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_running(pid):
    """Not even a thread of it, that may still hold its files."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return fields[0] != "Z" or int(fields[17]) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition, what):
    """For what cannot be heard of, only asked."""
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for {what}")
        select.select([], [], [], 0.02)


def wait_gone(pids):
    wait_until(lambda: not any(is_running(p) for p in pids),
               f"the end of {pids}")


# --- a client that does what the test says ---

class Client:
    def __init__(self, address, port, source=None, greet=True, helo=None,
                 timeout=None):
        self.sock = socket.create_connection(
            (address, port), timeout or DEADLINE,
            source_address=(source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""
        self.greeting = self.reply() if greet else None
        if helo:
            equal(self.cmd(f"EHLO {helo}")[0], 250, "EHLO")

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def more(self):
        """What there is to read; empty at the end."""
        try:
            return self.sock.recv(65536)
        except ConnectionResetError:
            return b""

    def line(self):
        """One reply line without its CRLF; None at the end."""
        while b"\n" not in self.buf:
            more = self.more()
            if not more:
                if self.buf:
                    raise AssertionError(f"half a line: {self.buf!r}")
                return None
            self.buf += more
        line, self.buf = self.buf.split(b"\n", 1)
        if not line.endswith(b"\r"):
            raise AssertionError(f"a reply without CRLF: {line!r}")
        return line[:-1].decode("utf-8", "replace")

    def reply(self):
        """(code, text), the text of several lines joined; (0, "") at the
        end of the connection."""
        texts = []
        while True:
            line = self.line()
            if line is None:
                return (0, "") if not texts else (0, "\n".join(texts))
            match(line, r"^[2-5]\d\d[ -]", "a reply line")
            texts.append(line[4:])
            if line[3] == " ":
                return int(line[:3]), "\n".join(texts)

    def cmd(self, line):
        self.send(line if isinstance(line, bytes) else line + "\r\n")
        return self.reply()

    def want(self, line, code):
        got = self.cmd(line)
        equal(got[0], code, f"{line!r} was answered {got}")
        return got[1]

    def ended(self):
        """True when the server closed; anything it still says is an error."""
        line = self.line()
        if line is not None:
            raise AssertionError(f"still there: {line}")
        return True

    def mail(self, sender, rcpts, data, params=""):
        """A whole transaction; returns the last reply."""
        if isinstance(rcpts, str):
            rcpts = [rcpts]
        self.want(f"MAIL FROM:<{sender}>{params}", 250)
        for r in rcpts:
            self.want(f"RCPT TO:<{r}>", 250)
        self.want("DATA", 354)
        self.send(stuff(data) + b".\r\n")
        return self.reply()

    def close(self):
        self.sock.close()

    def reset(self):
        """An RST instead of an orderly end."""
        import struct
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def stuff(data):
    """Dot-stuffed, and ending with CRLF."""
    if data and not data.endswith(b"\r\n"):
        data += b"\r\n"
    return re.sub(rb"(?m)^\.", b"..", data) if data else data


def letter(token, size=0, extra=""):
    """A mail that carries a token, of about size bytes."""
    head = f"From: <a@client.example>\r\nSubject: {token}\r\n" \
           f"X-Token: {token}\r\n{extra}\r\n"
    body = f"hello {token}\r\n"
    line = "0123456789" * 7 + "\r\n"
    body += line * max(0, (size - len(head) - len(body)) // len(line))
    return (head + body).encode()


def queued_id(reply):
    """The id in `250 2.0.0 Ok: queued as ID`."""
    m = re.search(r"queued as ([0-9A-Za-z]{16})$", reply[1])
    if reply[0] != 250 or not m:
        raise AssertionError(f"not queued: {reply}")
    return m.group(1)


def token_of(data):
    m = re.search(rb"(?mi)^X-Token: (\S+)", data)
    return m.group(1).decode() if m else None


class Ledger:
    """Every 250 that we were given, against what became of the mail."""

    def __init__(self):
        self.lock = threading.Lock()
        self.acked = {}  # token -> (id, recipients)
        self.unsure = set()  # sent, and no final reply was heard

    def ack(self, token, reply, nrcpt=1):
        with self.lock:
            self.acked[token] = (queued_id(reply), nrcpt)

    def send(self, client, token, sender="a@client.example",
             rcpts="r@example.net", size=0):
        """One mail; acknowledged or not, the ledger knows."""
        rcpts = [rcpts] if isinstance(rcpts, str) else rcpts
        with self.lock:
            self.unsure.add(token)
        reply = client.mail(sender, rcpts, letter(token, size))
        if reply[0] == 250:
            self.ack(token, reply, len(rcpts))
        # A 4xx may come from a queue that died after it was durable.
        if reply[0] >= 500:
            with self.lock:
                self.unsure.discard(token)
        return reply

    def missing(self, delivered, queued_ids):
        """Acknowledged tokens that are neither delivered nor queued."""
        with self.lock:
            return [t for t, (mid, n) in self.acked.items()
                    if delivered.get(t, 0) < n and mid not in queued_ids]

    def check(self, gateway=None, sinks=(), maildirs=(), duplicates=0):
        """Raises when something is lost, came without our knowledge, or came
        more often than allowed. A report about a mail counts for the
        recipients that it says have failed. Returns the number of
        duplicates."""
        # First what is still queued: a mail may move from there to a sink
        # while we look, never back.
        queued = {m["id"] for m in gateway.queue()
                  if any(r["state"] not in ("delivered", "bounced")
                         for r in m["recipients"])} if gateway else set()
        delivered = {}
        for s in sinks:
            for m in s.mails():
                for _ in m.rcpts:
                    add(delivered, token_of(m.data), settles(m.data))
        for user in maildirs:
            for data in gateway.maildir(user):
                add(delivered, token_of(data), settles(data))
        lost = self.missing(delivered, queued)
        if lost:
            raise AssertionError(
                f"LOST, though acknowledged: {lost[:10]} "
                f"({len(lost)} of {len(self.acked)})")
        known = set(self.acked) | self.unsure
        strange = [t for t in delivered if t not in known]
        if strange:
            raise AssertionError(f"delivered, but never taken: {strange[:10]}")
        doubles = sum(n - self.acked.get(t, (None, 1))[1]
                      for t, n in delivered.items()
                      if n > self.acked.get(t, (None, 1))[1])
        if doubles > duplicates:
            raise AssertionError(
                f"{doubles} duplicates, allowed are {duplicates}")
        return doubles


def settles(data):
    """How many recipients of a mail this copy, or this report, is about."""
    if not re.search(rb"(?mi)^Content-Type: *multipart/report", data):
        return 1
    return len(re.findall(rb"(?m)^Action: failed", data))


def add(counts, key, n=1):
    counts[key] = counts.get(key, 0) + n


# The rest of the library.
from fakedns import *  # noqa: E402,F401,F403
from fakemx import *  # noqa: E402,F401,F403
