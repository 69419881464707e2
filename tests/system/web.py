#!/usr/bin/python3
"""The HTTP endpoint: metrics for Prometheus, whether the gateway lives and
whether it takes mail, in each state that it can be in; and whoever comes
there, he stops neither the others nor the mail."""
import errno
import os
import re
import select
import signal
import socket
import sys
import threading
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

GUESTS_MAX = 64  # of web/guests.h

CONF = '''
workers smtpd 2 delivery 1
http $own_address port $http
action drop discard
match from any for any action drop
'''
BOX = '''
http $own_address port $http
action here maildir "$dir/mail/%{rcpt.user}"$owner
match from any for any action here
'''
TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Web(Gateway):
    """A gateway with `http'."""

    def __init__(self, conf=CONF, **kw):
        self.http = free_port(own_address())
        super().__init__(conf, values={
            "http": self.http, "owner": ' user "mail"' if ROOT else ""}, **kw)
        self.head = self.conf_text.removesuffix(self.expand(conf))

    def connect(self, port=None):
        s = socket.create_connection((self.address, port or self.http),
                                     timeout=DEADLINE)
        return s

    def ask(self, path, method="GET", extra="", port=None):
        """The whole answer: status, headers, text."""
        with self.connect(port) as s:
            s.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n"
                      f"Connection: close\r\n{extra}\r\n".encode())
            return split(everything(s))

    def metrics(self, *needed):
        """A page with these on it: control may just be busy, and who counts
        them away."""
        pages = []

        def there():
            status, head, text = self.ask("/metrics")
            pages[:] = [(head, text)] if status == 200 else []
            return pages and all(n in samples(text) for n in needed)
        wait_until(there, f"a page of metrics with {needed}")
        (head, text), = pages
        equal(head["content-type"], TEXT)
        return samples(text)

    def metric(self, name):
        """None while it is not known: who counts it may just be away."""
        status, _, text = self.ask("/metrics")
        return samples(text).get(name) if status == 200 else None

    def wait_metric(self, name, want):
        """A page is at most a second old."""
        wait_until(lambda: self.metric(name) == want, f"{name} is {want}")

    def wait_alive(self):
        wait_until(lambda: self.ask("/health")[0] == 200, "/health says 200")

    def now_is(self, conf):
        """Another configuration, by a reload; `http` as it is known now."""
        self.conf_text = self.head + self.expand(conf)
        self.write_conf()
        self.ctl("reload", check=0)

    def wait_ready(self, want, why=""):
        """A state is at most a second old, and control may just be busy."""
        wait_until(lambda: self.is_so(want, why), f"/ready says {want} {why}")

    def is_so(self, want, why):
        status, _, text = self.ask("/ready")
        return status == want and why in text


def everything(s):
    data = b""
    while True:
        try:
            part = s.recv(65536)
        except ConnectionResetError:
            return data
        if not part:
            return data
        data += part


def split(data):
    head, _, text = data.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    match(first, r"^HTTP/1\.[01] \d\d\d ")
    return (int(first.split()[1]),
            {k.lower(): v for k, v in (x.split(": ", 1) for x in lines)},
            text)


LABEL = r'[a-z]+="(?:[^"\\\n]|\\.)*"'
SAMPLE = re.compile(rf'^(postern_[a-z0-9_]+)(\{{{LABEL}(?:,{LABEL})*\}})? '
                    r'([0-9]+(?:\.[0-9]+)?)$')


def samples(text):
    """{name{label}: value}, the sum of all processes beside that of each;
    each of a metric that HELP and TYPE were said of, none of them of a kind
    that nobody knows."""
    found, types, helps = {}, {}, set()
    equal(text[-1], "\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            helps.add(line.split()[2])
            continue
        if line.startswith("# TYPE "):
            types[line.split()[2]] = line.split()[3]
            continue
        m = SAMPLE.match(line)
        if not m:
            raise AssertionError(f"no sample: {line!r}")
        name = re.sub(r"_(bucket|sum|count)$", "", m.group(1)) \
            if m.group(1) not in types else m.group(1)
        if name not in helps or name not in types:
            raise AssertionError(f"nothing is said of {name}")
        key, value = m.group(1) + (m.group(2) or ""), float(m.group(3))
        if key in found:
            raise AssertionError(f"{key} twice")
        found[key] = value
        of_all = re.sub(r',?process="[^"]*",?', "", key).replace("{}", "")
        if of_all != key:
            found[of_all] = found.get(of_all, 0) + value
    equal([n for n, t in types.items() if t == "untyped"], [],
          "numbers without a row in web/metric_names.c")
    return found


@test
def scraped():
    """Numbers are those of `show stats'; the histograms count what came."""
    with Web() as gw:
        before = gw.metrics("postern_smtpd_accepted_total")
        equal(before["postern_up"], 1)
        equal(before["postern_smtpd_accepted_total"], 0)
        with gw.client(helo="client.example") as c:
            for i in range(5):
                c.mail("a@client.example", ["b@here.example"],
                       letter(f"scraped{i}"))
        gw.wait_empty()
        gw.wait_metric("postern_smtpd_accepted_total", 5)
        # The queue commits once more when a mail is gone; the client's end is
        # told to the parent.
        gw.wait_metric(f'postern_listener_sessions{{listener='
                       f'"{gw.address}:{gw.port}"}}', 0)
        for stat, name in (("smtpd.bytes", "smtpd_received_bytes_total"),
                           ("smtpd.connections", "smtpd_connections_total"),
                           ("queue.messages", "queue_messages"),
                           ("queue.commits", "queue_commits_total")):
            wait_until(lambda: gw.metric("postern_" + name) ==
                       gw.stats().get(stat, -1), f"{name} is {stat}")
        now = gw.metrics("postern_smtpd_accept_seconds_count",
                         "postern_queue_commit_seconds_count")
        for name in ("smtpd_accept", "queue_commit"):
            equal(now[f"postern_{name}_seconds_count"], 5, name)
            equal(now[f'postern_{name}_seconds_bucket{{le="+Inf"}}'], 5, name)
            if not 0 < now[f"postern_{name}_seconds_sum"] < DEADLINE:
                raise AssertionError(f"{name} took no time")
        version = [k for k in now if k.startswith("postern_build_info")]
        equal(version, ['postern_build_info{version="%s"}' %
                        gw.json("show", "status")["version"]])
        equal(now['postern_processes{role="smtpd"}'], 2)
        equal(now['postern_processes{role="web"}'], 1)
        equal(now['postern_process_restarts_total{role="queue"}'], 0)
        equal(now['postern_paused{what="smtp"}'], 0)
        roles = [p["role"] for p in gw.json("show", "status")["processes"]]
        equal(roles.count("web"), 1, "show status has it")
        # Buckets are for machines.
        match(gw.ctl("show", "stats", check=0)[1], r"queue\.commit\.count")
        if "le_" in gw.ctl("show", "stats", check=0)[1]:
            raise AssertionError("show stats shows buckets to people")


@test
def counts_anew():
    """One of two smtpds dies: what the other one counts does not change, so
    that a monitor sees which numbers began at 0 again."""
    with Web() as gw:
        name = 'postern_smtpd_accepted_total{process="smtpd/%d"}'
        counts = []

        def each():
            """None for one that is away."""
            now = gw.metrics()
            return [now.get(name % i) for i in (0, 1)]

        def both_counted():
            with gw.client(helo="client.example") as c:
                c.mail("a@client.example", ["b@here.example"], letter("anew"))
            counts[:] = each()
            return all(counts)

        wait_until(both_counted, "each of them took a mail")
        dead = gw.role_pids("smtpd")[0]
        os.kill(dead, signal.SIGKILL)
        wait_until(lambda: gw.metric(
            'postern_process_restarts_total{role="smtpd"}') == 1,
            "it is there again")
        gw.wait_ready(200)
        wait_until(lambda: each() in ([0, counts[1]], [counts[0], 0]),
                   "who was started again counts from 0")


@test
def delivered():
    """The time until a mail was delivered is counted by recipient."""
    with Web(BOX) as gw:
        with gw.client(helo="client.example") as c:
            c.mail("a@client.example", ["b@x.example", "c@x.example"],
                   letter("delivered"))
        gw.wait_empty()
        name = "postern_queue_delivery_seconds_count"
        gw.wait_metric(name, 2)
        gw.wait_metric("postern_delivery_delivered_total", 2)


@test
def methods():
    with Web() as gw:
        gw.wait_ready(200)
        gw.wait_alive()
        status, head, text = gw.ask("/health")
        equal((status, text), (200, "ok\n"))
        equal(head["cache-control"], "no-store")
        equal(gw.ask("/ready")[0], 200)
        for path in ("/metrics", "/health", "/ready"):
            status, head, text = gw.ask(path, "HEAD")
            equal((status, text), (200, ""))
            if int(head["content-length"]) < 3:
                raise AssertionError(f"HEAD of {path} says nothing of GET")
            for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS",
                           "TRACE", "BREW"):
                status, head, text = gw.ask(path, method)
                equal((status, head["allow"]), (405, "GET, HEAD"), method)
        for path in ("/", "/metric", "/metrics/", "/health/../metrics",
                     "/%6detrics", "/evil<script>"):
            status, _, text = gw.ask(path)
            if status not in (400, 404):
                raise AssertionError(f"{path}: {status}")
            if "evil" in text:
                raise AssertionError("what was asked for comes back")
        equal(gw.ask("/health", extra="X: " + "x" * 20000 + "\r\n")[0], 400)
        with gw.connect() as s:
            s.sendall(b"POST /health HTTP/1.1\r\nHost: x\r\n"
                      b"Content-Length: 4000000000\r\n\r\n")
            equal(split(everything(s))[0], 413)
        with gw.connect() as s:
            s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
            everything(s)
        equal(gw.ask("/health")[0], 200)
        equal(gw.log_has(r" died process="), [])


@test
def slow_clients():
    """Hundreds that sit there and say a word now and then: others are
    served, and all of the slow ones are closed in the end."""
    with Web() as gw:
        slow = [gw.connect() for _ in range(300)]
        for s in slow:
            s.sendall(b"GET /metrics HTTP/1.1\r\nX")
        for _ in range(20):
            equal(gw.ask("/health")[0], 200)
        equal(gw.metrics()["postern_up"], 1)
        with gw.client(helo="client.example") as c:
            c.mail("a@client.example", ["b@here.example"], letter("slow"))
        open_now = slow
        while open_now:
            for s in list(open_now):
                s.settimeout(0.01)
                try:
                    s.sendall(b": x\r\nX")
                    if s.recv(100):
                        raise AssertionError("an answer to half a question")
                    open_now.remove(s)
                except socket.timeout:
                    pass
                except OSError:
                    open_now.remove(s)
            equal(gw.ask("/health")[0], 200)
        wait_until(lambda: (gw.metric("postern_web_turned_away_total") or 0)
                   >= 300, "300 that were turned away")


@test
def busy_clients():
    """Who asks for ever and ever, over connections that he keeps, leaves a
    place to others: when all are taken, who was answered goes."""
    with Web() as gw:
        busy = [gw.connect() for _ in range(GUESTS_MAX)]
        n = 0
        # Behind the first round all of them are in.
        for s in 2 * busy:
            try:
                s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = s.recv(65536)
            except (BrokenPipeError, ConnectionResetError):
                answer = b""
            n += b"\r\nConnection: close\r\n" in answer
        assert n > 0, "all of them may stay"
        for s in busy:
            s.close()
        equal(gw.ask("/health")[0], 200)


@test
def storm():
    """Many scrapes at once cost control a question of each kind a second."""
    with Web() as gw:
        before, begun = gw.stats()["control.questions"], time.monotonic()
        all_of_them = [gw.connect() for _ in range(50)]
        for s in all_of_them:
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n"
                      b"Connection: close\r\n\r\n" )
        for s in all_of_them:
            equal(split(everything(s))[0], 200)
            s.close()
        # One round of four, or two when a second passed in between; and
        # the two that we asked ourselves.
        asked = gw.stats()["control.questions"] - before
        if asked > max(50, 4 * (time.monotonic() - begun)):
            raise AssertionError(f"{asked} questions for 50 scrapes")


@test
def paused():
    with Web() as gw:
        gw.wait_ready(200)
        gw.ctl("pause", "smtp", "reason", "a test", check=0)
        gw.wait_ready(503, "smtp is paused")
        gw.wait_alive()
        wait_until(lambda: gw.metric('postern_paused{what="smtp"}') == 1,
                   "the pause is a metric")
        gw.ctl("resume", "smtp", check=0)
        gw.wait_ready(200)
        gw.ctl("pause", "delivery", check=0)
        wait_until(
            lambda: gw.metric('postern_paused{what="delivery"}') == 1,
            "the other pause, too")
        gw.wait_ready(200)  # mail is taken


@test
def full():
    """As many mails as there may be: there is no place for another one."""
    with Web(BOX + "queue limit 1\n") as gw:
        gw.wait_ready(200)
        gw.ctl("pause", "delivery", check=0)
        with gw.client(helo="client.example") as c:
            c.mail("a@client.example", ["b@here.example"], letter("full"))
        gw.wait_ready(503, "the queue is full")
        gw.wait_metric("postern_queue_refusing", 1)
        with gw.client(helo="client.example") as c:
            equal(c.cmd("MAIL FROM:<a@client.example>")[0], 452, "MAIL")
        gw.ctl("resume", "delivery", check=0)
        gw.wait_ready(200)
        gw.wait_empty()


@test
def processes_die():
    """Each role is killed: not ready while it is gone, ready again; only
    web's own death is not answered."""
    with Web() as gw:
        for role in ("smtpd", "queue", "resolver", "control"):
            gw.wait_ready(200)
            mark = gw.mark()
            os.kill(gw.role_pids(role)[0], signal.SIGKILL)
            gw.wait_log(rf" died process={role} ", mark)
            # By role; what /ready says then is not from before.
            gw.wait_metric(
                f'postern_process_restarts_total{{role="{role}"}}', 1)
            gw.wait_ready(200)
        old = gw.role_pids("web")
        os.kill(old[0], signal.SIGKILL)
        wait_until(lambda: gw.role_pids("web") not in ([], old),
                   "web is there again")
        gw.wait_ready(200)
        equal(gw.metrics()["postern_up"], 1)


@test
def control_is_silent():
    """Stopped, it neither answers nor is gone: 503, in a bounded time."""
    with Web() as gw:
        gw.wait_ready(200)
        pid, = gw.role_pids("control")
        os.kill(pid, signal.SIGSTOP)
        try:
            gw.wait_ready(503, "control does not answer")
            wait_until(lambda: gw.ask("/health")[0] == 503, "not alive")
            equal(gw.ask("/metrics")[0], 503)
        finally:
            os.kill(pid, signal.SIGCONT)
        gw.wait_ready(200)
        wait_until(lambda: gw.ask("/health")[0] == 200, "alive")


@test
def queue_is_silent():
    """Numbers of the others are still there."""
    with Web() as gw:
        gw.wait_ready(200)
        pid, = gw.role_pids("queue")
        os.kill(pid, signal.SIGSTOP)
        try:
            gw.wait_ready(503, "the queue does not answer")
            wait_until(lambda: "postern_queue_messages" not in gw.metrics(),
                       "the queue's numbers are not known")
            now = gw.metrics("postern_smtpd_accepted_total")
            equal(now["postern_up"], 1)
            equal(now["postern_smtpd_accepted_total"], 0)
            equal(now['postern_processes{role="smtpd"}'], 2)
            gw.wait_alive()
        finally:
            os.kill(pid, signal.SIGCONT)
        gw.wait_ready(200)


@test
def stopping():
    """Not ready any more, as soon as it is told to stop, while sessions are
    still being finished."""
    with Web() as gw:
        gw.wait_ready(200)
        with gw.client() as c:
            c.want("EHLO client.example", 250)
            c.want("MAIL FROM:<a@client.example>", 250)
            c.want("RCPT TO:<b@here.example>", 250)
            c.want("DATA", 354)
            os.kill(gw.proc.pid, signal.SIGTERM)
            gw.wait_ready(503, "stopping")
            c.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
            equal(c.reply()[0], 250)
        equal(gw.proc.wait(DEADLINE), 0)


@test
def reloaded():
    """A reload begins, moves and ends it; mail does not notice."""
    without = CONF.replace("http $own_address port $http\n", "")
    with Web(without) as gw:
        equal(gw.role_pids("web"), [])
        with gw.client() as c:
            c.want("EHLO client.example", 250)
            gw.now_is(CONF)
            gw.wait_ready(200)
            old, gw.http = gw.http, free_port(gw.address)
            gw.values["http"] = gw.http
            gw.now_is(CONF)
            gw.wait_ready(200)
            wait_until(lambda: refuses(gw, old), "the old door is shut")
            gw.now_is(without)
            wait_until(lambda: refuses(gw, gw.http), "there is none")
            wait_until(lambda: not gw.role_pids("web"), "nobody behind it")
            wait_until(lambda: "web" not in [
                p["role"] for p in gw.json("show", "status")["processes"]],
                "nor in show status")
            c.mail("a@client.example", ["b@here.example"], letter("reload"))


def move(gw):
    """`http` on another port, when the next configuration is written."""
    old, gw.http = gw.http, free_port(gw.address)
    gw.values["http"] = gw.http
    return old


def half_asked(gw):
    """One in the middle of his question, with a process of before."""
    s = gw.connect()
    s.sendall(b"GET /health HTTP/1.1\r\n")
    # They are let in in their order.
    gw.wait_alive()
    return s


@test
def answered_at_the_end():
    """A reload moves the door, or gives it to a process of another user: who
    is inside is answered, and who waits at the door, by one or the other."""
    for moves in (True, False):
        with Web() as gw:
            gw.wait_ready(200)
            half = half_asked(gw)
            pid, = gw.role_pids("web")
            mark = gw.mark()
            os.kill(pid, signal.SIGSTOP)
            # With more of them the slow one would have to go.
            waiting = [gw.connect() for _ in range(GUESTS_MAX - 4)]
            for s in waiting:
                s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n"
                          b"Connection: close\r\n\r\n")
            half.sendall(b"Host: x\r\n\r\n")
            old = move(gw) if moves else None
            gw.conf_text = gw.head + gw.expand(
                CONF + ("" if moves else 'web-user "daemon"\n'))
            gw.write_conf()
            os.kill(gw.proc.pid, signal.SIGHUP)
            gw.wait_log(r"parent renew process=web ", mark)
            late = socket.socket()
            late.setblocking(False)
            late.connect_ex((gw.address, old or gw.http))
            os.kill(pid, signal.SIGCONT)
            for s in [half] + waiting:
                status, _, text = split(everything(s))
                equal((status, text), (200, "ok\n"))
                s.close()
            gw.wait_log(r"parent reload result=ok", mark)
            wait_until(lambda: gw.role_pids("web") not in ([], [pid]),
                       "another process")
            gw.wait_alive()
            assert not moves or refuses(gw, old)
            # At a door that goes he is not let in, only to be thrown out.
            wait_until(lambda: select.select([], [late], [], 0)[1],
                       "what became of him")
            equal(late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR),
                  errno.ECONNREFUSED if moves else 0)
            late.close()
            equal(gw.log_has(r" died |the grace is over", mark), [])


class Scraper(threading.Thread):
    """Asks again and again where the door is."""

    def __init__(self, gw, path):
        super().__init__(daemon=True)
        self.gw, self.path = gw, path
        self.n, self.wrong, self.stops = 0, [], False
        self.start()

    def run(self):
        while not self.stops:
            port = self.gw.http
            try:
                status, _, text = self.once(port)
                # Control may just be busy.
                if status not in (200, 503) or not text:
                    self.wrong.append((status, text))
                self.n += 1
            except ConnectionRefusedError as e:
                if not self.gw.moving and self.gw.http == port:
                    self.wrong.append(e)
            except Exception as e:  # a reset, an answer that is none
                self.wrong.append(e)

    def once(self, port):
        with self.gw.connect(port) as s:
            s.sendall(f"GET {self.path} HTTP/1.1\r\nHost: x\r\n"
                      "Connection: close\r\n\r\n".encode())
            data = b""
            while part := s.recv(65536):
                data += part
        return split(data)


@test
def scraped_while_reloaded():
    """Nobody is reset, and nobody gets an empty answer, whatever becomes of
    the door and who is behind it."""
    with Web() as gw:
        gw.wait_ready(200)
        gw.moving = False
        scrapers = [Scraper(gw, path) for path in
                    ("/metrics", "/health", "/ready", "/health")]
        doors = [gw.http, free_port(gw.address)]
        for i in range(20):
            had = [s.n for s in scrapers]
            user = f'web-user "{("nobody", "daemon")[i // 2 % 2]}"\n'
            port = doors[i % 4 == 1]
            gw.moving = port != gw.http
            gw.values["http"] = port
            gw.now_is(CONF + user)
            gw.http = port
            gw.moving = False
            wait_until(lambda: all(s.n > n or s.wrong for s, n in
                                   zip(scrapers, had)), "all to go on")
        for s in scrapers:
            s.stops = True
        for s in scrapers:
            s.join()
            equal(s.wrong, [], f"{s.path}, of {s.n}")
        equal(gw.log_has(r" died |the grace is over"), [])
        equal(len(gw.log_has(r"parent renew process=web ")), 14)


def refuses(gw, port):
    try:
        gw.connect(port).close()
    except ConnectionRefusedError:
        return True
    return False


@test
def occupied():
    """An address that somebody else has: the gateway says which, and does
    not start."""
    with socket.socket() as s:
        s.bind((own_address(), 0))
        s.listen(1)
        gw = Web()
        gw.conf_text = gw.conf_text.replace(
            f"port {gw.http}", f"port {s.getsockname()[1]}")
        gw.write_conf()
        try:
            gw.start()
        except Exception:  # whatever it says: the log is what counts
            pass
        gw.wait_log(rf"http .* port {s.getsockname()[1]}")
        gw.kill()


if __name__ == "__main__":
    main()
