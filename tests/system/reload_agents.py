#!/usr/bin/python3
"""Who delivers here has its user and its directories from its start: it is
started anew when they change, and nothing is delivered by another."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

CONF = '''
action box maildir "$dir/mail/%{rcpt.user}" user "mail"
match for domain "box.example" action box
'''
# Each of its own directory.
OTHER = '''action other maildir "$dir/other/%{rcpt.user}" user "games"
match for domain "other.example" action other
'''


def reloaded(gw):
    gw.ctl("reload", check=0)


def folder(gw, name, user):
    path = f"{gw.dir}/{name}"
    os.mkdir(path, 0o755)
    if ROOT:
        who = pwd.getpwnam(user)
        os.chown(path, who.pw_uid, who.pw_gid)


def send(gw, ledger, token, to):
    with gw.client(helo="client.example") as c:
        reply = ledger.send(c, token, rcpts=to)
    return queued_id(reply)


def delivered(gw, ledger, token, to):
    equal(gw.fate(send(gw, ledger, token, to))[0], "delivered", token)


def owner(gw, path):
    """Of the one mail there."""
    name, = os.listdir(f"{gw.dir}/{path}/new")
    return pwd.getpwuid(os.stat(f"{gw.dir}/{path}/new/{name}").st_uid).pw_name


def agents(gw, role):
    return [p["pid"] for p in gw.json("show", "status")["processes"]
            if p["role"] == role]


@test
def a_directory_comes_and_goes():
    gw = Gateway(CONF)
    ledger = Ledger()
    with gw:
        before = gw.conf_text
        first = agents(gw, "maildir")
        gw.set_conf(before + OTHER.replace("games", "mail"))
        code, _, err = gw.ctl("reload")
        equal(code, 1 if not ROOT else code, "")
        folder(gw, "more", "mail")
        gw.set_conf(before + OTHER.replace("games", "mail")
                    .replace("/other/", "/more/"))
        reloaded(gw)
        delivered(gw, ledger, "one", "joe@other.example")
        delivered(gw, ledger, "two", "joe@box.example")
        second = agents(gw, "maildir")
        assert first != second, "it was started anew"
        gw.set_conf(before)
        reloaded(gw)
        equal(agents(gw, "maildir"), second, "it may have more than it needs")
        delivered(gw, ledger, "three", "joe@box.example")
        equal(len(gw.maildir("joe")), 2, "the one")
        equal(len(os.listdir(f"{gw.dir}/more/joe/new")), 1, "the other")
        equal(gw.log_has(r" died "), [], "nobody died")


@test
def a_directory_that_cannot_be_had_is_refused():
    gw = Gateway(CONF)
    with gw:
        before = gw.conf_text
        first = agents(gw, "maildir")
        gw.set_conf(before + OTHER.replace("/other/", "/no/where/"))
        code, _, err = gw.ctl("reload")
        equal(code, 1, "refused")
        match(err, "action other: .*/no/where", "which")
        equal(agents(gw, "maildir"), first, "all is as it was")
        if ROOT:
            gw.set_conf(before.replace('user "mail"', 'user "nosuch"'))
            code, _, err = gw.ctl("reload")
            equal(code, 1, "refused")
            match(err, "user nosuch .* does not exist", "who")


@test
def the_first_and_the_last():
    gw = Gateway("action drop discard\nmatch for any action drop\n")
    ledger = Ledger()
    with gw:
        before = gw.conf_text
        equal(agents(gw, "maildir"), [], "nobody")
        for token in "one", "two":
            gw.set_conf(before.replace("match for any action drop\n",
                                       CONF + "match for any action drop\n"))
            reloaded(gw)
            equal(len(agents(gw, "maildir")), 1, "somebody")
            delivered(gw, ledger, token, "joe@box.example")
            gw.set_conf(before)
            reloaded(gw)
            equal((agents(gw, "maildir"), gw.role_pids("maildir")), ([], []),
                  "nobody again")
        equal(len(gw.maildir("joe")), 2, "what came")
        equal(gw.log_has(r" died "), [], "nobody died")


@test
def users_change_places():
    if not ROOT:
        return
    gw = Gateway(CONF)
    ledger = Ledger()
    with gw:
        folder(gw, "other", "games")
        before = gw.conf_text
        gw.set_conf(before + OTHER)
        reloaded(gw)
        delivered(gw, ledger, "one", "joe@box.example")
        delivered(gw, ledger, "two", "joe@other.example")
        equal(len(agents(gw, "maildir")), 2, "one for each user")
        # The numbers of the users are the other way round.
        gw.set_conf(before.replace("\naction box", f"\n{OTHER}action box"))
        reloaded(gw)
        delivered(gw, ledger, "three", "ann@box.example")
        delivered(gw, ledger, "four", "ann@other.example")
        equal([owner(gw, p) for p in ("mail/joe", "mail/ann", "other/joe",
                                      "other/ann")],
              ["mail", "mail", "games", "games"], "whose mail that is")
        # Each has the other's directory.
        os.chown(f"{gw.dir}/mail", *pwd.getpwnam("games")[2:4])
        gw.set_conf(before.replace('user "mail"', 'user "games"'))
        reloaded(gw)
        delivered(gw, ledger, "five", "eve@box.example")
        equal(owner(gw, "mail/eve"), "games", "whose mail that is")
        equal(gw.log_has(r" died "), [], "nobody died")


@test
def commands_in_progress_are_finished():
    gw = Gateway('''action pipe mda "/bin/sh $dir/deliver %{rcpt.user}" user "mail"
match for domain "box.example" action pipe
queue retry 1s
''')
    ledger = Ledger()
    go, went = f"{gw.dir}/mail/go", f"{gw.dir}/mail/went"
    os.chmod(f"{gw.dir}/mail", 0o777)
    os.mkfifo(go)
    os.chmod(go, 0o666)
    with open(f"{gw.dir}/deliver", "w") as f:
        f.write(f'cat > /dev/null\necho begun $1 $$ >> {went}\n'
                f'read x < {go}\necho done $1 $$ >> {went}\n')

    def lines():
        if not os.path.exists(went):
            return []
        with open(went) as f:
            return f.read().split("\n")[:-1]

    with gw:
        mid = send(gw, ledger, "one", "joe@box.example")
        wait_until(lambda: len(lines()) == 1, "it to begin")
        old = agents(gw, "mda")
        gw.set_conf(gw.conf_text.replace(
            "action pipe mda", 'action two mda "/bin/cat" user "games"\n'
            'match for domain "two.example" action two\naction pipe mda'))
        mark = gw.mark()
        os.kill(gw.proc.pid, signal.SIGHUP)
        if ROOT:
            gw.wait_log(r"renew process=mda", since=mark)
        with open(go, "w") as f:
            f.write("\n")
        equal(gw.fate(mid)[0], "delivered", "the one in progress")
        gw.wait_log(r"reload result=ok", since=mark)
        equal([l.split()[:2] for l in lines()], [["begun", "joe"],
                                                 ["done", "joe"]], "once")
        if ROOT:
            assert not set(old) & set(agents(gw, "mda")), "new ones"
            equal(len(agents(gw, "mda")), 2, "one for each user")
        delivered(gw, ledger, "two", "joe@two.example")
        equal(gw.log_has(r" died "), [], "nobody died")


@test
def what_it_has_not_read_goes_to_the_next_one():
    """Told to stop before it saw them: nobody has tried these."""
    gw = Gateway(CONF)
    ledger = Ledger()
    folder(gw, "other", "mail")
    with gw:
        old, = agents(gw, "maildir")
        os.kill(old, signal.SIGSTOP)
        gw.set_conf(gw.conf_text + OTHER.replace("games", "mail"))
        mark = gw.mark()
        os.kill(gw.proc.pid, signal.SIGHUP)
        gw.wait_log(r"renew process=maildir", since=mark)
        mids = [send(gw, ledger, f"mail-{n}", "joe@box.example")
                for n in range(8)]
        wait_until(lambda: all(m["state"] == "active"
                               for m in gw.json("show", "queue")),
                   "the old one to have them")
        os.kill(old, signal.SIGCONT)
        for mid in mids:
            equal(gw.fate(mid)[0], "delivered", mid)
        equal(len(gw.maildir("joe")), len(mids), "each once")
        equal(gw.log_has(r" agent-lost | died "), [], "nobody died")


@test
def an_action_moves_to_another_user():
    if not ROOT:
        return
    gw = Gateway('''action keep mda "/bin/cat" user "mail"
action too mda "/bin/cat" user "games"
action pipe mda "/bin/sh $dir/deliver old" user "mail"
match for domain "keep.example" action keep
match for domain "too.example" action too
match for domain "box.example" action pipe
queue retry 1s
''')
    ledger = Ledger()
    went = f"{gw.dir}/went"
    with open(f"{gw.dir}/deliver", "w") as f:
        f.write(f"cat > /dev/null\necho $1 `id -un` >> {went}\n")
    open(went, "w").close()
    os.chmod(went, 0o666)

    def is_of(pid, user):
        return os.stat(f"/proc/{pid}").st_uid == pwd.getpwnam(user).pw_uid

    with gw:
        pid, = [p for p in gw.role_pids("mda") if is_of(p, "mail")]
        # It finds a mail for the one action, and the other configuration.
        os.kill(pid, signal.SIGSTOP)
        for i in range(4):
            send(gw, ledger, f"t{i}", f"joe{i}@box.example")
        wait_until(lambda: gw.stats()["queue.active"] > 0, "one to be given")
        gw.set_conf(gw.conf_text.replace('deliver old" user "mail"',
                                         'deliver new" user "games"'))
        mark = gw.mark()
        os.kill(gw.proc.pid, signal.SIGHUP)
        gw.wait_log(r"config-change .*deliver|config-change .*pipe",
                    since=mark)
        os.kill(pid, signal.SIGCONT)
        gw.wait_log(r"reload result=ok", since=mark)
        equal(gw.log_has(r"renew process", mark), [], "both may stay")
        gw.wait_empty()
        with open(went) as f:
            lines = f.read().split("\n")[:-1]
        equal(len(lines), 4, "each once")
        equal(set(lines) - {"old mail", "new games"}, set(), "as whom")


@test
def more_directories_than_a_process_may_have():
    gw = Gateway(CONF)
    with gw:
        first = agents(gw, "maildir")
        for i in range(64):
            folder(gw, f"d{i}", "mail")
        many = [f'action a{i} maildir "$dir/d{i}/%{{rcpt.user}}" user "mail"\n'
                f'match for domain "d{i}.example" action a{i}\n'
                for i in range(64)]
        before = gw.conf_text
        gw.set_conf(before + "".join(many))
        code, _, err = gw.ctl("reload")
        equal(code, 1, "refused")
        match(err, "more than 64 `maildir' of one user", "why")
        equal(agents(gw, "maildir"), first, "all is as it was")
        gw.set_conf(before + "".join(many[1:]))
        reloaded(gw)
        delivered(gw, Ledger(), "one", "joe@d63.example")
        equal(len(os.listdir(f"{gw.dir}/d63/joe/new")), 1, "the last")
        equal(gw.log_has(r" died "), [], "nobody died")


@test
def metrics_come_and_go():
    gw = Gateway("action drop discard\nmatch for any action drop\n")

    def health(port):
        with socket.create_connection((gw.address, port), DEADLINE) as s:
            s.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            return s.recv(12)[-3:]

    def one_web():
        wait_until(lambda: len(gw.role_pids("web")) == 1, "one of it")

    with gw:
        before = gw.conf_text
        ports = [free_port(gw.address), wide_port()]
        for port in ports * 2:
            gw.set_conf(before + f"http {gw.address} port {port}\n")
            reloaded(gw)
            one_web()
            equal(health(port), b"200", "it answers")
            gw.set_conf(gw.conf_text + "# the same\n")
            reloaded(gw)
            equal(health(port), b"200", "it is left alone")
        gw.set_conf(before + f"http 0.0.0.0 port {ports[1]}\n")
        reloaded(gw)
        one_web()  # the port is the same: the one before hears at it, too
        equal(health(ports[1]), b"200", "at all addresses")
        with socket.socket() as taken:
            taken.bind((gw.address, 0))
            taken.listen()
            busy = f"http {gw.address} port {taken.getsockname()[1]}"
            gw.set_conf(before + busy + "\n")
            code, _, err = gw.ctl("reload")
            equal(code, 1, "refused")
            match(err, f"{busy}: .*in use", "why")
        gw.set_conf(before)
        reloaded(gw)
        equal((gw.role_pids("web"), agents(gw, "web")), ([], []), "gone")
        equal(gw.log_has(r" died "), [], "nobody died")


main()
