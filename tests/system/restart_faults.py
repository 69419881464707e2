#!/usr/bin/python3
"""SIGUSR2 when something goes wrong at its steps, and what it leaves."""
import os
import ssl
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403
from filtered import *  # noqa: E402,F401,F403
from restarted import *  # noqa: E402,F401,F403

# As the log has them when it is verbose (upgrade.h has their names).
STEPS = [r" upgrade check=", r" upgrade stage=1", r" upgrade stage=2",
         r" upgrade stage=3", r" upgrade program=", r" start version="]


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None  # buried


def no_zombie(gw):
    wait_until(lambda: not [p for p in children(gw.proc.pid)
                            if state_of(p) == "Z"], "zombies to be buried")


def kill_at(gw, step, role):
    """A restart whose `role` dies when the log says step."""
    mark = gw.mark()
    victims = gw.role_pids(role)
    os.kill(gw.proc.pid, signal.SIGUSR2)
    gw.wait_log(step, since=mark, alive=True)
    for pid in victims:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # its time was over
    gw.wait_log(r" ready ", since=mark, alive=True)
    equal(gw.proc.poll(), None, "the parent lives on")
    no_zombie(gw)


def talks(gw, ledger, token):
    """A new client's mail is taken, perhaps not the first time."""
    def taken():
        n = len(ledger.unsure)
        try:
            with gw.client(helo="client.example") as c:
                return ledger.send(c, f"{token}-{n}")[0] == 250
        except (AssertionError, OSError):  # refused at an earlier command
            return False
    wait_until(taken, f"a mail to be taken: {token}")


def deaths(roles):
    hop, ledger = MX(), Ledger()
    gw = Gateway(CONF, {"hop": hop.hop})
    with gw:
        gw.ctl("log", "verbose", check=0)
        for role in roles:
            for step in STEPS:
                with gw.client(helo="client.example") as c:
                    c.want("MAIL FROM:<a@client.example>", 250)
                    kill_at(gw, step, role)
                    talks(gw, ledger, f"{role}-{STEPS.index(step)}")
        wait_until(lambda: not retired(gw), "the old processes to end")
        gw.wait_empty()
        # What was sent to a hop when its sender died may come again.
        ledger.check(gw, sinks=[hop], duplicates=len(roles) * len(STEPS))
        got = gw.json("show", "status")["processes"]
        equal(len(children(gw.proc.pid)), len(got) - 1, "processes")


@test
def the_queue_dies_at_each_step():
    deaths(["queue"])


@test
def the_listeners_die_at_each_step():
    deaths(["smtpd"])


@test
def others_die_at_each_step():
    deaths(["resolver", "vault", "delivery"])
    deaths(["dialer", "control", "fetch"])


@test
def stopped_at_each_step():
    """And what waits for its answer gets one, or an end."""
    for step in STEPS:
        gw = Gateway(CONF, {"hop": MX().hop}).start()
        gw.ctl("log", "verbose", check=0)
        c = gw.client(helo="client.example")
        c.want("MAIL FROM:<a@client.example>", 250)
        c.want("RCPT TO:<r@example.net>", 250)
        c.want("DATA", 354)
        mark = gw.mark()
        os.kill(gw.proc.pid, signal.SIGUSR2)
        gw.wait_log(step, since=mark)
        pids = gw.pids()
        os.kill(gw.proc.pid, signal.SIGTERM)
        try:
            c.send(letter("t") + b".\r\n")
            match(str(c.reply()[0]), "250|4..", "the mail")
        except (AssertionError, OSError):
            pass
        equal(gw.proc.wait(DEADLINE), 0, f"exit status at {step}")
        wait_gone(pids)
        equal(gw.log_has("did not stop in time"), [], "a clean end")
        gw.proc = None
        gw.remove()


@test
def fewer_and_more_workers():
    """Nobody is reset who waits at a socket that is one too many."""
    hop, ledger = MX(), Ledger()
    gw = Gateway(CONF + "workers smtpd 4\n", {"hop": hop.hop})
    with gw:
        gw.ctl("log", "verbose", check=0)
        load = Load(gw, ledger)
        for n in (1, 3, 2, 8, 1):
            gw.conf_text = re.sub(r"smtpd \d", f"smtpd {n}", gw.conf_text)
            gw.write_conf()
            mark = gw.mark()
            os.kill(gw.proc.pid, signal.SIGUSR2)
            gw.wait_log(r" upgrade stage=3", since=mark, alive=True)
            waiting = [gw.client(greet=False) for _ in range(40)]
            gw.wait_log(r" ready ", since=mark, alive=True)
            for c in waiting:
                equal(c.reply()[0], 220, f"who waits, {n} workers")
                c.close()
            equal(len([p for p in gw.json("show", "status")["processes"]
                       if p["role"] == "smtpd" and
                       "retired" not in p["sandbox"]]), n, "workers")
            load.more()
            # Several sockets of one listener live through a reload.
            gw.ctl("reload", check=0)
            load.more()
        load.stop()
        gw.wait_empty()
        ledger.check(gw, sinks=[hop])


@test
def who_waits_at_a_door_that_goes():
    """Who was there before the restart is let in; who comes while it goes on
    is told to come back, and nobody is reset."""
    address = own_address(2)
    port = free_port(address)
    more = f"listen on {address} port {port}\n"
    with Gateway(CONF + more, {"hop": MX().hop}) as gw:
        gw.ctl("log", "verbose", check=0)
        gw.conf_text = gw.conf_text.replace(more, "")
        gw.write_conf()
        smtpd, = gw.role_pids("smtpd")
        queue, = gw.role_pids("queue")
        mark = gw.mark()
        os.kill(smtpd, signal.SIGSTOP)
        before = [Client(address, port, greet=False) for _ in range(16)]
        os.kill(gw.proc.pid, signal.SIGUSR2)
        gw.wait_log(r" upgrade stage=2", since=mark, alive=True)
        os.kill(queue, signal.SIGSTOP)
        os.kill(smtpd, signal.SIGCONT)
        equal([c.reply()[0] for c in before], [220] * 16, "who was there")
        gw.wait_log(r" upgrade stage=3", since=mark, alive=True)
        between = [Client(address, port, greet=False) for _ in range(16)]
        os.kill(queue, signal.SIGCONT)
        equal([c.reply()[0] for c in between], [421] * 16, "who came then")
        gw.wait_log(r" ready ", since=mark, alive=True)
        before[0].want("EHLO client.example", 250)
        try:
            Client(address, port)
            raise AssertionError("it is still there")
        except ConnectionRefusedError:
            pass


def asking(gw):
    """Connections that control still has, though who asked is gone."""
    with open("/proc/net/unix") as f:
        # The state (3: connected), the inode, the path.
        return [l for l in f if re.search(
            rf" 03 +\d+ {re.escape(gw.control)}$", l)]


def descriptors(gw):
    """Of each process that there should be, by its role and instance."""
    wait_until(lambda: not retired(gw), "the old processes to end")
    found = {}
    processes = gw.json("show", "status")["processes"]
    wait_until(lambda: not asking(gw), "our questions to be over")
    for p in processes:
        links = []
        for fd in os.listdir(f"/proc/{p['pid']}/fd"):
            try:
                links.append(os.readlink(f"/proc/{p['pid']}/fd/{fd}"))
            except FileNotFoundError:
                pass
        found.setdefault(p["role"], []).append(
            sorted(re.sub(r"(?<=postern\.)\w+|\d+", "N", l) for l in links))
    return {role: sorted(lists) for role, lists in found.items()}


@test
def nothing_piles_up():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw:
        restart(gw)
        once = descriptors(gw)
        for _ in range(19):
            restart(gw)
        no_zombie(gw)
        many = {}

        def same():
            many.update(descriptors(gw))
            return many == once
        try:
            wait_until(same, "the same descriptors")
        except AssertionError:
            for role in once:
                equal(many.get(role), once[role], f"descriptors of {role}")
            raise
        equal(len(children(gw.proc.pid)), sum(map(len, once.values())) - 1,
              "processes")


@test
def a_large_mail_over_ten_restarts():
    """By DATA and by BDAT, while others come and go."""
    hop, ledger = MX(extensions=("PIPELINING", "SIZE 104857600")), Ledger()
    gw = Gateway(CONF + 'limit message-size 64M\n', {"hop": hop.hop})
    with gw:
        load = Load(gw, ledger, n=2)
        size, steps = 50000000, 10
        data, parts = letter("large", size), letter("chunked", size)
        large, chunked = data_and_chunks(gw)
        for n in range(steps):
            at, end = n * len(data) // steps, (n + 1) * len(data) // steps
            large.send(data[at:end])
            at, end = n * len(parts) // steps, (n + 1) * len(parts) // steps
            last = " LAST" if n == steps - 1 else ""
            if n < steps - 1:
                chunked.send(f"BDAT {end - at}{last}\r\n".encode() +
                             parts[at:end])
                equal(chunked.reply()[0], 250, f"chunk {n}")
            restart(gw)
            load.more(4)
        large.send(b".\r\n")
        ledger.ack("large", large.reply())
        chunked.send(f"BDAT {end - at} LAST\r\n".encode() + parts[at:end])
        ledger.ack("chunked", chunked.reply())
        load.stop()
        arrived(gw, ledger, hop, {"large": data, "chunked": parts})


@test
def in_the_middle_of_a_handshake_and_of_auth():
    with Secured() as gw:
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        peer = context().wrap_bio(into, out)
        raw = gw.plain("mx")
        raw.want("STARTTLS", 220)
        try:
            peer.do_handshake()
        except ssl.SSLWantReadError:
            pass
        greeting = out.read()
        raw.send(greeting[:40])
        proving = gw.tls("submission")
        proving.want("AUTH PLAIN", 334)
        name = gw.tls("submission")
        name.want("AUTH LOGIN", 334)
        restart(gw)
        name.want(b64("luke"), 334)
        restart(gw)
        proving.want(plain("luke", "force"), 235)
        name.want(b64("force"), 235)
        raw.send(greeting[40:])
        while True:
            try:
                peer.do_handshake()
                break
            except ssl.SSLWantReadError:
                if out.pending:
                    raw.send(out.read())
                    continue
                into.write(raw.sock.recv(65536))
        raw.send(out.read())
        peer.write(b"NOOP\r\n")
        raw.send(out.read())
        while True:
            try:
                match(peer.read(), rb"^250 ", "over TLS")
                break
            except ssl.SSLWantReadError:
                into.write(raw.sock.recv(65536))
        for c in (proving, name):
            queued_id(c.mail("luke@b.example", "x@elsewhere.example",
                             letter("t")))
            c.close()
        raw.close()


def bad_from_here_on(gw, hop, ledger):
    """Restarts; the configuration breaks behind the check. Returns a client
    of before, and one that waits."""
    old = gw.client(helo="client.example")
    equal(ledger.send(old, "stalls")[0], 250, "what keeps delivery busy")
    hop.stalled.wait(DEADLINE)
    mark = gw.mark()
    good = gw.conf_text
    os.kill(gw.proc.pid, signal.SIGUSR2)
    gw.wait_log(r" upgrade stage=1", since=mark)
    return old, good, mark


@test
def a_configuration_that_breaks_behind_the_check():
    """Clients wait, and sessions go on, until somebody mends it."""
    for kind in ("text", "port", "spool"):
        taken = Later("250 2.0.0 taken")
        hop, ledger = MX(faults={"dot": taken}), Ledger()
        gw = Gateway(CONF, {"hop": hop.hop})
        with gw, socket.socket() as s:
            gw.ctl("log", "verbose", check=0)
            old, good, mark = bad_from_here_on(gw, hop, ledger)
            why = "unknown statement"
            if kind == "text":
                gw.conf_text += "banana\n"
            elif kind == "port":
                s.bind((gw.address, 0))
                s.listen()
                gw.conf_text += f"listen on {gw.address} port " \
                    f"{s.getsockname()[1]}\n"
                why = "in use"
            else:
                os.chmod(f"{gw.dir}/spool", 0o755)
                why = "open to others"
            gw.write_conf()
            taken.go.set()
            gw.wait_log(r"parent start why=.*is not there", since=mark)
            gw.log_has(why, since=mark) or gw.wait_log(why, since=mark)
            new = gw.client(greet=False)
            old.want("MAIL FROM:<a@client.example>", 250)
            # Once more, since nobody has mended it.
            os.kill(gw.proc.pid, signal.SIGHUP)
            gw.wait_log(r"parent start why=.*is not there", since=mark,
                        count=2)
            gw.conf_text = good
            gw.write_conf()
            os.chmod(f"{gw.dir}/spool", 0o700)
            os.kill(gw.proc.pid, signal.SIGHUP)
            gw.wait_log(r" ready ", since=mark, alive=True)
            equal(new.reply()[0], 220, "who waited")
            old.want("RSET", 250)
            equal(ledger.send(old, "old")[0], 250, "the session of before")
            new.want("EHLO client.example", 250)
            equal(ledger.send(new, "new")[0], 250, "the new one")
            gw.wait_empty()
            ledger.check(gw, sinks=[hop])
            old.close(), new.close()
            wait_until(lambda: not retired(gw), "the old processes to end")


@test
def stopped_while_it_cannot_start():
    taken = Later("250 2.0.0 taken")
    hop, ledger = MX(faults={"dot": taken}), Ledger()
    gw = Gateway(CONF, {"hop": hop.hop})
    with gw:
        gw.ctl("log", "verbose", check=0)
        old, _, mark = bad_from_here_on(gw, hop, ledger)
        gw.conf_text += "banana\n"
        gw.write_conf()
        taken.go.set()
        gw.wait_log(r"parent start why=.*is not there", since=mark)
        pids = gw.pids()
        os.kill(gw.proc.pid, signal.SIGTERM)
        equal(gw.proc.wait(DEADLINE), 0, "exit status")
        gw.proc = None
        equal(os.path.exists(gw.control), False, "the control socket")
        equal(os.path.exists(gw.submit), False, "the submit socket")
        old.reply()
        wait_gone(pids)


@test
def a_rehearsal_touches_nothing():
    """What the new configuration would have otherwise, and is refused."""
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw, socket.socket() as s:
        before = os.stat(gw.control).st_mode
        s.bind((gw.address, 0))
        s.listen()
        gw.conf_text += f"listen on {gw.address} port " \
            f"{s.getsockname()[1]}\nworkers smtpd 8\n"
        gw.conf_text += 'control-view-group "daemon"\n'
        gw.write_conf()
        hop, ledger = MX(), Ledger()
        load = Load(gw, ledger)
        for _ in range(10):
            refused(gw)
        load.more()
        load.stop()
        equal(oct(os.stat(gw.control).st_mode), oct(before), "the mode")


@test
def who_dies_when_memory_runs_out():
    if not ROOT:
        raise Skip("not root: there is no protection")
    path = "/proc/self/oom_score_adj"
    with open(path) as f:
        own = f.read()
    try:
        with open(path, "w") as f:
            f.write("200")
        gw = Gateway(CONF, {"hop": MX().hop}).start()
    finally:
        with open(path, "w") as f:
            f.write(own)

    def scores():
        pids = [gw.proc.pid, *gw.role_pids("queue"), *gw.role_pids("smtpd")]
        return [int(open(f"/proc/{p}/oom_score_adj").read()) for p in pids]
    first = scores()
    equal(set(first[2:]), {200}, "of others")
    for _ in range(2):
        restart(gw)
        wait_until(lambda: not retired(gw), "the old processes to end")
        equal(scores(), first, "after it")
    gw.remove()


main()
