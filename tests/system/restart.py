#!/usr/bin/python3
"""SIGUSR2: another program takes this one's place, and nobody notices."""
import os
import shutil
import sys
import threading
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403
from filtered import *  # noqa: E402,F401,F403
from restarted import *  # noqa: E402,F401,F403

@test
def nobody_is_refused_and_no_mail_is_lost():
    hop, ledger = MX(), Ledger()
    gw = Gateway(CONF, {"hop": hop.hop})
    with gw:
        load = Load(gw, ledger)
        for _ in range(3):
            load.more()
            restart(gw)
        load.more()
        load.stop()
        gw.wait_empty()
        ledger.check(gw, sinks=[hop])
        wait_until(lambda: not retired(gw), "the old processes to end")


@test
def a_session_goes_on_over_a_restart():
    hop, ledger = MX(), Ledger()
    gw = Gateway(CONF, {"hop": hop.hop})
    with gw:
        idle = gw.client(helo="client.example")
        body = gw.client(helo="client.example")
        body.want("MAIL FROM:<a@client.example>", 250)
        body.want("RCPT TO:<r@example.net>", 250)
        body.want("DATA", 354)
        body.send("X-Token: body\r\n\r\nfirst\r\n")
        status = gw.json("show", "status")
        restart(gw)
        after = gw.json("show", "status")
        equal(after["pid"], status["pid"], "pid")
        equal(len(smtpds(gw)) > 0, True, "smtpds that finish")
        body.send("second\r\n.\r\n")
        ledger.ack("body", body.reply())
        equal(ledger.send(body, "again")[0], 250, "another over it")
        equal(ledger.send(idle, "idle")[0], 250, "of the idle one")
        gw.wait_empty()
        ledger.check(gw, sinks=[hop])
        body.want("QUIT", 221)
        idle.want("QUIT", 221)
        wait_until(lambda: not retired(gw), "the old processes to end")


@test
def what_is_being_sent_goes_on():
    """A large mail has a file of the queue that goes: it moves to the
    next."""
    hop, ledger = MX(), Ledger()
    gw = Gateway(CONF, {"hop": hop.hop})
    with gw:
        large, chunked = data_and_chunks(gw)
        data, parts = letter("large", 3000000), letter("chunked", 3000000)
        large.send(data[:2000000])
        chunked.send(f"BDAT {2000000}\r\n".encode() + parts[:2000000])
        equal(chunked.reply()[0], 250, "the first chunk")
        wait_until(lambda: gw.stats()["smtpd.connections"] >= 2, "both")
        restart(gw)
        chunked.send(f"BDAT {len(parts) - 2000000} LAST\r\n".encode() +
                     parts[2000000:])
        ledger.ack("chunked", chunked.reply())
        # And over another one.
        large.send(data[2000000:2500000])
        restart(gw)
        large.send(data[2500000:] + b".\r\n")
        ledger.ack("large", large.reply())
        arrived(gw, ledger, hop, {"large": data, "chunked": parts})


@test
def filters_and_their_mail():
    """One thinks of a large mail while the queue changes."""
    go = threading.Event()

    class Think:
        def play(self, conn):
            conn.filter.stalled.set()
            go.wait(DEADLINE)
            return CONTINUE.play(conn)

    f = Filter({"eom": Think()})
    with Filtered({"slow": f}) as gw:
        ledger = Ledger()
        with gw.client(helo="client.example") as c:
            got = []
            t = threading.Thread(target=lambda: got.append(
                ledger.send(c, "thought", size=3000000,
                            rcpts="x@example.net")))
            t.start()
            f.stalled.wait(DEADLINE)
            restart(gw)
            go.set()
            t.join()
            equal(got[0][0], 250, f"the mail: {got}")
            gw.wait_empty()
            ledger.check(gw, sinks=[gw.mx])


@test
def tls_auth_and_submission_go_on():
    with Secured() as gw:
        ctx = context()
        with gw.tls(ctx=ctx) as c:
            c.want("NOOP", 250)
            session = c.sock.session
        secret = gw.tls("submission", "luke")
        late = gw.plain("submission")
        local = socket.socket(socket.AF_UNIX)
        local.connect(gw.submit)
        match(local.recv(1024), rb"^220 ", "the submit socket")
        for n in range(2):
            restart(gw)
            with gw.tls(ctx=ctx, session=session) as c:
                equal(c.sock.session_reused, True, f"resumed, restart {n}")
        queued_id(secret.mail("luke@b.example", "x@elsewhere.example",
                              letter("secret")))
        # The old vault still has the key, and the passwords.
        late.starttls(helo="client.example")
        equal(with_auth(late, "PLAIN", "luke", "force")[0], 235, "AUTH")
        queued_id(late.mail("luke@b.example", "x@elsewhere.example",
                            letter("late")))
        local.sendall(b"EHLO local\r\n")
        match(local.recv(4096), rb"^250-", "over the old one")
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(gw.submit)
            match(s.recv(1024), rb"^220 ", "a new one")
        gw.mx.wait(2)
        for c in (secret, late, local):
            c.close()
        wait_until(lambda: not retired(gw), "the old processes to end")


@test
def a_configuration_with_errors_changes_nothing():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw, gw.client(helo="client.example") as c:
        good = gw.conf_text
        gw.conf_text += "banana\n"
        gw.write_conf()
        mark = refused(gw)
        gw.wait_log(r" upgrade why=.*unknown statement `banana'", since=mark)
        # It reads well, but cannot be had.
        with socket.socket() as s:
            s.bind((gw.address, 0))
            s.listen()
            port = s.getsockname()[1]
            gw.conf_text = good + f"listen on {gw.address} port {port}\n" \
                f'listen on socket "{gw.dir}/control/second.sock"\n'
            gw.write_conf()
            mark = refused(gw)
            gw.wait_log(rf" upgrade why=.*port {port} .*in use", since=mark)
        equal(os.path.exists(f"{gw.dir}/control/second.sock"), False,
              "what was only tried")
        queued_id(c.mail("a@client.example", "r@example.net", letter("t")))
        gw.ctl("show", "status", check=0)
        # Now it can.
        restart(gw)
        Client(gw.address, port).close()
        equal(os.path.exists(f"{gw.dir}/control/second.sock"), True, "socket")
        # And what is gone from it is closed, and its name removed.
        gw.conf_text = good
        gw.write_conf()
        restart(gw)
        equal(os.path.exists(f"{gw.dir}/control/second.sock"), False, "gone")
        with socket.socket() as s:
            equal(s.connect_ex((gw.address, port)), 111, "closed")


@test
def a_program_that_cannot_start_changes_nothing():
    gw = Gateway(CONF, {"hop": MX().hop})
    program = installed(gw)
    with gw, gw.client(helo="client.example") as c:
        for text, why in (
                ("#!/bin/sh\necho broken >&2\nexit 1\n", "why=broken"),
                ("#!/bin/sh\nexit 3\n", "status=3"),
                ("#!/bin/sh\nkill -SEGV $$\n", "signal=11"),
                ("no program\n", r"Exec format error|status=127")):
            replace(program, text)
            mark = refused(gw)
            gw.wait_log(rf" upgrade .*({why})", since=mark)
        os.remove(program)
        mark = refused(gw)
        gw.wait_log(r" upgrade why=.*No such file", since=mark)
        queued_id(c.mail("a@client.example", "r@example.net", letter("t")))
        replace(program, f"{BUILD}/posternd")
        restart(gw)
        # It is the new file that runs.
        equal(os.readlink(f"/proc/{gw.proc.pid}/exe"), program, "program")
        queued_id(c.mail("a@client.example", "r@example.net", letter("u")))


@test
def a_program_that_vanishes_in_between():
    """It was fine when it was tried: too late for a way back, so the roles
    are started again."""
    hop, ledger = MX(), Ledger()
    gw = Gateway(CONF, {"hop": hop.hop})
    program = installed(gw)
    with gw, gw.client(helo="client.example") as c:
        for n in range(2):
            replace(program, '#!/bin/sh\nrm -f "$0"\nexit 0\n')
            mark = gw.mark()
            os.kill(gw.proc.pid, signal.SIGUSR2)
            gw.wait_log(r" upgrade result=failed why=.*No such file",
                        since=mark)
            gw.wait_log(r" ready ", since=mark, alive=True)
            equal(ledger.send(c, f"old-{n}")[0], 250, "over the old one")
            with gw.client(helo="client.example") as new:
                equal(ledger.send(new, f"new-{n}")[0], 250, "over the new one")
            wait_until(lambda: len(smtpds(gw)) == 1, "the one with a session")
        replace(program, f"{BUILD}/posternd")
        restart(gw)
        equal(ledger.send(c, "last")[0], 250, "after a good one")
        gw.wait_empty()
        ledger.check(gw, sinks=[hop])


# Stands in for a gateway from another build that hands over: a listening
# socket, and a process that takes our word for its parent's.
BEFORE = r"""
import fcntl, os, socket, sys
program, conf, address, port, edges, text = sys.argv[1:7]
door = socket.socket()
door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
door.bind((address, int(port)))
door.listen()
ours, theirs = socket.socketpair()
kept, other = socket.socketpair()
child = os.fork()
if child == 0:
    door.close(), ours.close(), kept.close()
    sys.stderr.write("old queue-end=%r\n" % other.recv(100)[:0])
    sys.stderr.flush()
    theirs.recv(1)  # until nobody is our parent any more
    os._exit(0)
theirs.close(), other.close()
m = os.memfd_create("handover", os.MFD_ALLOW_SEALING)
os.write(m, text.format(pid=os.getpid(), edges=edges, door=door.fileno(),
                        address=address, port=port, child=child,
                        ours=ours.fileno() + 1, kept=kept.fileno() + 1).encode())
fcntl.fcntl(m, 1033, 15)  # F_ADD_SEALS: all
for fd in (door.fileno(), ours.fileno(), kept.fileno(), m):
    os.set_inheritable(fd, True)
os.execve(program, [program, "-d", "-f", conf],
          dict(os.environ, POSTERN_HANDOVER=str(m)))
"""
HANDOVER = """postern-handover 1
pid {pid}
started 1
restarts 4
something new
listen {door} {address} {port}
process smtpd 0 {edges} 3 {child} 1 99999999999 {ours} {kept} 1
end
"""


def handed(gw, text=HANDOVER):
    """Starts it as the successor of such a one."""
    Gateway.running.append(gw)
    gw.proc = subprocess.Popen(
        [sys.executable, "-c", BEFORE, f"{gw.build}/posternd", gw.conf_path,
         gw.address, str(gw.port), "12345", text], stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE, start_new_session=True)
    threading.Thread(target=gw._read_log, args=(gw.proc,),
                     daemon=True).start()
    gw.wait_log(r" ready ", alive=True)


@test
def taken_over_from_another_build():
    """Its processes speak another language: they are left alone, and their
    mail is not taken; stopping reaches them."""
    gw = Gateway(CONF, {"hop": MX().hop})
    handed(gw)
    gw.wait_log("^old queue-end=b''")  # closed: nobody can read it
    (old,) = smtpds(gw)
    me = gw.json("show", "status")["processes"][0]
    equal((me["role"], me["restarts"]), ("parent", 4), "the count goes on")
    with gw.client(helo="client.example") as c:
        queued_id(c.mail("a@client.example", "r@example.net", letter("t")))
    restart(gw)
    equal([p["pid"] for p in smtpds(gw)], [old["pid"]], "once more")
    pids = gw.pids()
    os.kill(gw.proc.pid, signal.SIGTERM)
    equal(gw.proc.wait(DEADLINE), 0, "exit status")
    wait_gone(pids + [old["pid"]])
    gw.proc = None
    gw.remove()


@test
def what_was_handed_over_makes_no_sense():
    """Then it is a start like any other; the sockets are not kept."""
    for text, why in ((HANDOVER.replace("end\n", ""), "it is damaged"),
                      (HANDOVER.replace("over 1", "over 9"), "another kind")):
        gw = Gateway(CONF, {"hop": MX().hop})
        try:
            handed(gw, text)
        except AssertionError:
            pass
        gw.wait_log(f"handed over: .*{why}")
        gw.kill()
        gw.remove()
    # Somebody else's: it is not even looked at.
    gw = Gateway(CONF, {"hop": MX().hop})
    handed(gw, HANDOVER.replace("pid {pid}", "pid 1"))
    equal(retired(gw), [], "retired")
    equal(gw.client().greeting[0], 220, "greeting")
    gw.remove()


@test
def a_role_that_cannot_start_is_tried_again():
    """The restart has happened, and clients wait in the backlog."""
    gw = Gateway(CONF, {"hop": MX().hop})
    installed(gw)
    smtpd = f"{gw.dir}/prefix/libexec/postern/smtpd"
    with gw, gw.client(helo="client.example") as old:
        replace(smtpd, f"{BUILD}/tests/lib/other_build")
        mark = gw.mark()
        os.kill(gw.proc.pid, signal.SIGUSR2)
        gw.wait_log(r"parent died process=smtpd .* reason="
                    r'"built from other definitions than posternd"',
                    since=mark)
        queued_id(old.mail("a@client.example", "r@example.net", letter("t")))
        waits = gw.client(greet=False)
        replace(smtpd, f"{BUILD}/libexec/postern/smtpd")
        gw.wait_log(r" ready ", since=mark, alive=True)
        equal(waits.reply()[0], 220, "who waited")
        waits.close()


@test
def many_restarts_in_a_row():
    """Each with a session that stays: after eight of them the oldest ends."""
    hop, ledger = MX(), Ledger()
    gw = Gateway(CONF + "workers smtpd 1\n", {"hop": hop.hop})
    with gw:
        clients = []
        for n in range(10):
            clients.append(gw.client(helo="client.example"))
            restart(gw)
        for c in clients[:2]:
            equal(c.reply()[0], 421, "the oldest")
            c.close()
        wait_until(lambda: len(smtpds(gw)) == 8, "eight of them")
        for n, c in enumerate(clients[2:]):
            equal(ledger.send(c, f"old-{n}")[0], 250, f"client {n}")
        sessions = gw.json("show", "sessions")
        equal(len(sessions), 8, "sessions")
        gw.wait_empty()
        ledger.check(gw, sinks=[hop])
        for c in clients[2:]:
            c.close()
        wait_until(lambda: not retired(gw), "the old processes to end")
        equal(len(gw.pids()) - 1, len([
            p for p in gw.json("show", "status")["processes"]]) - 1, "all")


@test
def death_among_the_retired():
    hop, ledger = MX(), Ledger()
    gw = Gateway(CONF, {"hop": hop.hop})
    with gw:
        with gw.client(helo="client.example") as c:
            restart(gw)
            (old,) = smtpds(gw)
            os.kill(old["pid"], signal.SIGKILL)
            equal(c.line(), None, "its session")
        wait_until(lambda: not retired(gw), "those who served it to end")
        # The queue of today dies: the retired one gets the next.
        with gw.client(helo="client.example") as c:
            restart(gw)
            mark = gw.mark()
            os.kill(gw.role_pids("queue")[0], signal.SIGKILL)
            gw.wait_log(r"queue recovered", since=mark)

            def there():
                code, _ = c.cmd("MAIL FROM:<a@client.example>")
                c.want("RSET", 250)
                return code == 250
            wait_until(there, "the next queue")
            wait_until(lambda: ledger.send(c, f"t{len(ledger.unsure)}")[0] ==
                       250, "a mail to be taken")
        gw.wait_empty()
        ledger.check(gw, sinks=[hop])


@test
def reload_log_and_stop_while_some_are_retired():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw:
        c = gw.client(helo="client.example")
        c.want("MAIL FROM:<a@client.example>", 250)
        restart(gw)
        (old,) = smtpds(gw)
        gw.ctl("reload", check=0)
        equal([p["pid"] for p in smtpds(gw)], [old["pid"]], "not touched")
        c.want("RCPT TO:<r@example.net>", 250)
        mark = gw.mark()
        os.kill(gw.proc.pid, signal.SIGUSR1)
        gw.wait_log("log opened again", since=mark)
        began = time.monotonic()
        pids = gw.pids()
        os.kill(gw.proc.pid, signal.SIGTERM)
        equal(c.reply()[0], 421, "a transaction that goes on and on")
        equal(gw.proc.wait(DEADLINE), 0, "exit status")
        wait_gone(pids)
        gw.proc = None
        equal(gw.log_has("did not stop in time", since=mark), [], "a clean end")
        assert time.monotonic() - began < 30, "the grace is short"


@test
def a_second_term_ends_it_at_once():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw:
        c = gw.client(helo="client.example")
        c.want("MAIL FROM:<a@client.example>", 250)
        restart(gw)
        c2 = gw.client(helo="client.example")
        c2.want("MAIL FROM:<a@client.example>", 250)
        pids = gw.pids()
        mark = gw.mark()
        os.kill(gw.proc.pid, signal.SIGTERM)
        gw.wait_log("parent stop signal=15", since=mark)
        os.kill(gw.proc.pid, signal.SIGTERM)
        gw.proc.wait(DEADLINE)
        wait_gone(pids)
        gw.proc = None
        equal(os.path.exists(gw.control), False, "the control socket")


@test
def stopped_while_it_restarts():
    """Whichever step it is at: it ends, cleanly."""
    ledger, hop = Ledger(), MX()
    gw = Gateway(CONF, {"hop": hop.hop})
    for where in (r" upgrade signal=", r" upgrade check=",
                  r" upgrade program=", r" start version="):
        gw.start()
        with gw.client(helo="client.example") as c:
            mark = gw.mark()
            os.kill(gw.proc.pid, signal.SIGUSR2)
            gw.wait_log(where, since=mark)
            pids = gw.pids()
            os.kill(gw.proc.pid, signal.SIGTERM)
            equal(gw.proc.wait(DEADLINE), 0, f"exit status at {where}")
            wait_gone(pids)
            gw.proc = None
        equal(os.path.exists(gw.control), False, f"control at {where}")
    gw.remove()


def holds(pid, sig):
    """Does the process hold this signal back, to hear of it later?"""
    with open(f"/proc/{pid}/status") as f:
        blocked = int(re.search(r"SigBlk:\s*(\w+)", f.read()).group(1), 16)
    return blocked >> (sig - 1) & 1 == 1


@test
def signals_before_it_is_ready():
    """None of them ends it, or comes too early for a start that goes on."""
    gw = Gateway(CONF, {"hop": MX().hop})
    t = threading.Thread(target=gw.start)
    t.start()
    wait_until(lambda: gw.proc, "a process")
    wait_until(lambda: gw.lines or holds(gw.proc.pid, signal.SIGHUP),
               "the signals to be held")
    for sig in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        os.kill(gw.proc.pid, sig)
    t.join()
    gw.wait_log(r" upgrade (result=refused|.*restarts=1)")
    gw.wait_log(r" reload result=")
    gw.wait_log("log opened again")
    equal(gw.client().greeting[0], 220, "it lives")
    gw.remove()


@test
def one_at_a_time():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw:
        for n in range(3):
            mark = gw.mark()
            os.kill(gw.proc.pid, signal.SIGUSR2)
            gw.wait_log(r" upgrade check=", since=mark)
            for sig in (signal.SIGUSR2, signal.SIGHUP, signal.SIGUSR1):
                os.kill(gw.proc.pid, sig)
            gw.wait_log(r" ready ", since=mark, alive=True)
            # Whatever became of the others, nothing of it is under way when
            # the next round begins.
            gw.wait_log(r" upgrade (result=refused|.*restarts=)", since=mark,
                        count=2)
            gw.wait_log(r" reload result=", since=mark)
            gw.wait_log("log opened again", since=mark)
            gw.wait_log(r" ready ", since=mark, alive=True, count=len(
                gw.log_has(r" upgrade .*restarts=", mark)))
            wait_until(lambda: gw.ctl("show", "status")[0] == 0, "an answer")


@test
def in_the_background_and_as_others():
    for user in (None, "nobody") if ROOT else (None,):
        gw = Gateway(CONF.replace('"$hop"', '"$HOP"'), user=user)
        hop = MX()
        gw.conf_text = gw.conf_text.replace("log stderr",
                                            f'log file "{gw.dir}/log"')
        gw.write_conf()
        if user:
            os.chmod(gw.dir, 0o777)
        argv = gw.command("-D", f"HOP={hop.hop}")
        argv[-1] = "postern.conf"  # relative to where it is started
        p = subprocess.run(argv, timeout=DEADLINE, cwd=gw.dir)
        equal(p.returncode, 0, "the starting process")
        pid = gw.json("show", "status")["pid"]
        with gw.client(helo="client.example") as c:
            for n in range(2):
                os.kill(pid, signal.SIGUSR2)

                def back():
                    code, out, _ = gw.ctl("-j", "show", "status")
                    if code:
                        return False
                    got = json.loads(out)
                    me = [q for q in got["processes"] if q["role"] == "parent"]
                    with open(f"{gw.dir}/log") as f:
                        ready = f.read().count("parent ready ")
                    return ready == n + 2 and got["pid"] == pid and \
                        me[0]["restarts"] == n + 1
                wait_until(back, f"restart {n}")
            queued_id(c.mail("a@client.example", "r@example.net",
                             letter("old")))
        with gw.client(helo="client.example") as c:
            queued_id(c.mail("a@client.example", "r@example.net",
                             letter("new")))
        hop.wait(2)
        pids = [pid, *children(pid)]
        os.kill(pid, signal.SIGTERM)
        wait_gone(pids)
        gw.remove()


@test
def tells_the_service_manager():
    gw = Gateway(CONF, {"hop": MX().hop})
    path = f"{gw.dir}/notify"
    said = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        os.chmod(path, 0o777)
        s.settimeout(DEADLINE)
        gw.env = {"NOTIFY_SOCKET": path}

        def hear():
            said.append(dict(l.split("=", 1) for l in
                             s.recv(4096).decode().split("\n")))
            return said[-1]
        with gw:
            ready = hear()
            equal((ready["READY"], ready["MAINPID"]),
                  ("1", str(gw.proc.pid)), "ready")
            os.kill(gw.proc.pid, signal.SIGHUP)
            equal("MONOTONIC_USEC" in hear(), True, "reloading")
            equal(hear()["READY"], "1", "reloaded")
            restart(gw)
            equal(hear()["RELOADING"], "1", "restarting")
            equal(hear()["READY"], "1", "restarted")
            gw.conf_text += "banana\n"
            gw.write_conf()
            refused(gw)
            # Whoever asks for a reload, and whatever comes of it.
            for code in (1, 0):
                gw.ctl("reload", check=code)
                equal(hear()["RELOADING"], "1", f"reloading: {code}")
                equal(hear()["READY"], "1", f"reloaded: {code}")
                gw.conf_text = gw.conf_text.replace("banana\n", "")
                gw.write_conf()
            # A reload that comes too late is no news.
            smtpd, = gw.role_pids("smtpd")
            os.kill(smtpd, signal.SIGSTOP)
            os.kill(gw.proc.pid, signal.SIGTERM)
            equal(hear()["STOPPING"], "1", "stopping")
            mark = gw.mark()
            os.kill(gw.proc.pid, signal.SIGHUP)
            gw.wait_log(r"parent reload result=refused", since=mark)
            os.kill(smtpd, signal.SIGCONT)
            equal(gw.proc.wait(DEADLINE), 0, "exit status")
            gw.proc = None
            s.setblocking(False)
            try:
                raise AssertionError(f"no news: {hear()}")
            except BlockingIOError:
                pass


main()
