#!/usr/bin/python3
"""Listeners, the control socket and the log change while all run: who is
connected stays, and nobody who connects to what stays is turned away."""
import grp
import os
import stat
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

from load import Load  # noqa: E402

CONF = '''
action out relay to "$hop"
match for domain "example.net" action out
'''


def reloaded(gw):
    code, out, err = gw.ctl("reload")
    equal(code, 0, f"reload: {out}{err}")
    return out


def refused(gw, pattern):
    code, out, err = gw.ctl("reload")
    equal(code, 1, f"reload: {out}{err}")
    match(err, pattern, "why not")
    match(err, "the configuration stays", "and what became of it")


def hup(gw):
    mark = gw.mark()
    os.kill(gw.proc.pid, signal.SIGHUP)
    gw.wait_log(r"reload result=ok", since=mark)


def another(gw):
    return f"listen on {gw.address} port {free_port(gw.address)}"


def port_of(line):
    return int(line.split()[-1])


def greets(gw, port):
    with Client(gw.address, port) as c:
        return c.greeting[0] == 220


def is_refused(address, port):
    try:
        socket.create_connection((address, port), DEADLINE).close()
    except ConnectionRefusedError:
        return True
    return False


def sessions(gw):
    """By port; of a path by the path."""
    return {l["port"] or l["address"]: l["sessions"]
            for l in gw.json("show", "status")["listeners"]}


@test
def one_comes_and_goes():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw:
        before, pids = gw.conf_text, gw.pids()
        more = another(gw)
        port = port_of(more)
        equal(is_refused(gw.address, port), True, "nobody there")
        # In front: all others have new numbers.
        gw.set_conf(more + "\n" + before)
        match(reloaded(gw), rf"\+ .*: {more}\n", "what changed")
        with Client(gw.address, port, helo="client.example") as c:
            old = gw.client(helo="client.example")
            equal(c.greeting[0], 220, "the new one")
            equal((sessions(gw)[port], sessions(gw)[gw.port]), (1, 1),
                  "each has its own")
            gw.set_conf(before)
            match(reloaded(gw), rf"- .*: {more}\n", "what changed")
            equal(is_refused(gw.address, port), True, "it is gone")
            equal(sessions(gw), {gw.port: 1, gw.submit: 0}, "what is left")
            # Who came in there goes on, by the rules he began with.
            for one in c, old:
                one.want("MAIL FROM:<a@client.example>", 250)
                one.want("RCPT TO:<b@example.net>", 250)
                one.want("QUIT", 221)
            old.close()
        wait_until(lambda: sessions(gw)[gw.port] == 0, "their end")
        equal(sorted(gw.pids()), sorted(pids), "nobody died")
        # And once more at the same place.
        gw.set_conf(before + more + "\n")
        reloaded(gw)
        equal(greets(gw, port), True, "again")
        equal(greets(gw, gw.port), True, "the other one")


@test
def counts_stay_right_under_new_numbers():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw:
        before = gw.conf_text
        a, b, c = (another(gw) for _ in range(3))
        gw.set_conf(f"{a}\n{b}\n{before}")
        reloaded(gw)
        at = {p: [Client(gw.address, p) for _ in range(n)]
              for p, n in ((port_of(a), 1), (port_of(b), 2), (gw.port, 3))}
        gw.set_conf(f"{before}{c}\n{b}\n")
        reloaded(gw)
        at[port_of(c)] = [Client(gw.address, port_of(c)) for _ in range(4)]
        want = {port_of(b): 2, gw.port: 3, port_of(c): 4, gw.submit: 0}
        equal(sessions(gw), want, "at each")
        for port, n in ((port_of(b), 1), (port_of(c), 3), (gw.port, 2)):
            at[port].pop().close()
            want[port] = n
        at[port_of(a)].pop().close()  # of one that is no more
        wait_until(lambda: sessions(gw) == want, "one less at each")
        for clients in at.values():
            for client in clients:
                client.close()
        wait_until(lambda: not any(sessions(gw).values()), "nobody")


@test
def one_that_cannot_be_had_changes_nothing():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw, socket.socket() as taken:
        taken.bind((gw.address, 0))
        taken.listen()
        before, free = gw.conf_text, another(gw)
        busy = f"listen on {gw.address} port {taken.getsockname()[1]}"
        gw.set_conf(before.replace('"example.net"', '"two.example"') +
                    f'{free}\n{busy}\nlisten on socket "{gw.dir}/more.sock"\n')
        refused(gw, rf"listen on {gw.address} port {port_of(busy)} .*in use")
        equal(is_refused(gw.address, port_of(free)), True, "nor the others")
        equal(os.path.exists(f"{gw.dir}/more.sock"), False, "nor a socket")
        with gw.client(helo="client.example") as c:
            c.want("MAIL FROM:<a@client.example>", 250)
            c.want("RCPT TO:<b@example.net>", 250)
        gw.set_conf(before + free + "\n")
        reloaded(gw)
        equal(greets(gw, port_of(free)), True, "without it")


@test
def all_addresses_beside_one_of_them():
    port = wide_port()
    one = f"listen on $own_address port {port}\n"
    gw = Gateway(CONF + one, {"hop": MX().hop})
    with gw:
        before = gw.conf_text
        every = f"listen on 0.0.0.0 port {port}\n"
        for text in (before.replace(gw.expand(one), every), before,
                     before + every, before):
            gw.set_conf(text)
            reloaded(gw)
            equal(greets(gw, port), True, text)


@test
def who_waits_in_the_backlog_is_let_in():
    gw = Gateway(CONF + "workers smtpd 2\n", {"hop": MX().hop})
    with gw:
        before, more = gw.conf_text, another(gw)
        path = f"{gw.dir}/more.sock"
        gw.set_conf(f'{before}{more}\nlisten on socket "{path}"\n')
        hup(gw)
        pids = gw.role_pids("smtpd")
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        # In both workers' backlogs.
        waiting = [Client(gw.address, port_of(more), greet=False)
                   for _ in range(16)]
        local = socket.socket(socket.AF_UNIX)
        local.connect(path)
        local.settimeout(DEADLINE)
        mark = gw.mark()
        gw.set_conf(before)
        os.kill(gw.proc.pid, signal.SIGHUP)
        gw.wait_log(r"reload signal=1", since=mark)
        wait_until(lambda: not os.path.exists(path), "the name to be gone")
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        gw.wait_log(r"reload result=ok", since=mark)
        equal([c.reply()[0] for c in waiting], [220] * 16, "greetings")
        match(local.recv(100), rb"^220 ", "the greeting of the path")
        for c in waiting:
            c.want("HELO client.example", 250)
            c.close()
        local.close()
        equal(is_refused(gw.address, port_of(more)), True, "and it is gone")


@test
def nobody_is_refused_while_others_come_and_go():
    mx = MX()
    gw = Gateway(CONF + "limit connections-per-source 1000 "
                 "rate-per-source 100000/1m rate-per-subnet 100000/1m\n"
                 "workers smtpd 2\n", {"hop": mx.hop})
    ledger = Ledger()
    with gw:
        before, pids = gw.conf_text, gw.pids()
        others = [another(gw) for _ in range(3)]
        load = Load(gw, ledger)
        for i in range(40):
            had = load.sent
            some = [o for k, o in enumerate(others) if i >> k & 1]
            text = "\n".join(some) + "\n"
            gw.set_conf(text + before if i % 2 else before + text)
            hup(gw)
            for o in others:
                if o in some:
                    equal(greets(gw, port_of(o)), True, o)
                else:
                    equal(is_refused(gw.address, port_of(o)), True, o)
            load.reach(had + 1)
        load.stop()
        gw.wait_empty()
        ledger.check(gw, [mx])
        equal(sorted(gw.pids()), sorted(pids), "nobody died")
        equal(gw.log_has(r" died "), [], "nobody died")


@test
def the_sockets_of_paths_move():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw:
        old = gw.control
        new = f"{gw.dir}/control/other.sock"
        submit = f"{gw.dir}/control/mail.sock"
        watcher = socket.socket(socket.AF_UNIX)
        watcher.connect(old)
        gw.set_conf(gw.conf_text.replace(old, new)
                    .replace(gw.submit, submit))
        reloaded(gw)
        equal(os.path.exists(old) or os.path.exists(gw.submit), False,
              "the old ones")
        gw.control = new
        wait_until(lambda: gw.ctl("show", "status")[0] == 0, "the new one")
        equal(stat.S_IMODE(os.stat(new).st_mode), 0o660, "its mode")
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(DEADLINE)
            s.connect(submit)
            match(s.recv(100), rb"^220 ", "the submit socket")
        watcher.close()


@test
def groups_of_the_control_socket_change():
    gw = Gateway(CONF, {"hop": MX().hop})
    line = f'control "{gw.control}"'
    with gw:
        before = gw.conf_text
        gw.set_conf(before.replace(line, line + ' group "nosuchgroup"'))
        refused(gw, "group nosuchgroup .* does not exist")
        if not ROOT:
            return
        gw.set_conf(before.replace(
            line, line + ' group "mail" view-group "games"'))
        reloaded(gw)
        st = os.stat(gw.control)
        equal((grp.getgrgid(st.st_gid).gr_name, stat.S_IMODE(st.st_mode)),
              ("mail", 0o666), "group and mode")

        def asks(group, *what):
            return subprocess.run(
                ["setpriv", "--reuid=games", f"--regid={group}",
                 "--clear-groups", f"{gw.build}/posternctl", "-s",
                 gw.control, *what], stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, timeout=DEADLINE).returncode

        equal((asks("games", "show", "status"), asks("games", "reload"),
               asks("mail", "reload")), (0, 1, 0), "who may what")
        gw.set_conf(before)
        reloaded(gw)
        st = os.stat(gw.control)
        equal((st.st_gid, stat.S_IMODE(st.st_mode)), (os.getegid(), 0o660),
              "as it was")
        assert asks("games", "show", "status") != 0, "not any more"


@test
def the_log_and_the_name_change():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw:
        mark = gw.mark()
        gw.set_conf(gw.conf_text.replace("log stderr",
                                         "log stderr format json")
                    .replace('"mx.test.example"', '"other.example"'))
        reloaded(gw)
        line = gw.wait_log(r'"event":"reload".*"result":"ok"', since=mark)
        equal(json.loads(line)["host"], "other.example", "the host")
        with gw.client() as c:
            match(c.greeting[1], r"^other\.example ", "greeting")
        line = gw.wait_log(r'"role":"smtpd".*"event":"disconnect"|'
                           r'"event":"disconnect".*"role":"smtpd"',
                           since=mark)
        equal(json.loads(line)["host"], "other.example", "of smtpd")


@test
def another_file_for_the_log():
    gw = Gateway(CONF, {"hop": MX().hop})
    gw.conf_text = gw.conf_text.replace("log stderr",
                                        f'log file "{gw.dir}/one.log"')
    gw.write_conf()
    one, two = f"{gw.dir}/one.log", f"{gw.dir}/two.log"

    def lines(path):
        if not os.path.exists(path):
            return ""
        with open(path) as f:
            return f.read()

    # In the background: in the foreground it is standard error.
    subprocess.run(gw.command(), check=True, timeout=DEADLINE)
    pid = gw.json("show", "status")["pid"]
    try:
        match(lines(one), "parent ready", "the first")
        gw.set_conf(gw.conf_text.replace("one.log", "no/where.log"))
        refused(gw, "log to .*no/where.log")
        gw.set_conf(gw.conf_text.replace("no/where.log", "two.log"))
        reloaded(gw)
        with gw.client(helo="client.example") as c:
            c.want("QUIT", 221)
        wait_until(lambda: "smtpd disconnect" in lines(two), "the second")
        equal("smtpd disconnect" in lines(one), False, "the first")
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_gone([pid])
    gw.remove()


main()
