#!/usr/bin/python3
"""A configuration is read again: all of it or nothing, and nobody notices
who does not have to."""
import os
import resource
import sys
import threading
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

from load import Load  # noqa: E402

CONF = '''
action out relay to "$hop"
match for domain "example.net" action out
'''


def change(gw, old, new, count=1):
    equal(gw.conf_text.count(old), count, f"{old!r} in the configuration")
    gw.conf_text = gw.conf_text.replace(old, new)
    gw.write_conf()


def reload(gw):
    """As the administrator does; what is wrong, or None."""
    mark = gw.mark()
    code, out, err = gw.ctl("reload")
    # The answer may be here before the line, which is not to be taken for
    # that of the next one.
    gw.wait_log(r" reload result=", since=mark)
    if code == 0:
        match(out, r"(^|\n)reloaded[^\n]*\n$", "what posternctl says")
        return None
    equal((code, out), (1, ""), err)
    return err


def good(gw):
    equal(reload(gw), None, "errors")


def try_rcpt(client, rcpt):
    client.want("MAIL FROM:<a@client.example>", 250)
    code, text = client.cmd(f"RCPT TO:<{rcpt}>")
    client.want("RSET", 250)
    return code, text


@test
def a_changed_rule_holds_for_the_next_session():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw:
        old = gw.client(helo="client.example")
        equal(try_rcpt(old, "b@example.net")[0], 250, "before")
        equal(try_rcpt(old, "b@two.example")[0], 550, "before")
        change(gw, '"example.net"', '"two.example"')
        good(gw)
        with gw.client(helo="client.example") as new:
            equal(try_rcpt(new, "b@example.net")[0], 550, "the next session")
            equal(try_rcpt(new, "b@two.example")[0], 250, "the next session")
        equal(try_rcpt(old, "b@example.net")[0], 250, "one in progress")
        old.close()
        mark = gw.mark()
        change(gw, '"two.example"', '"example.net"')
        os.kill(gw.proc.pid, signal.SIGHUP)
        gw.wait_log(r"reload result=ok", since=mark)
        equal(rcpt_once(gw, "b@example.net"), 250, "the rule of the signal")


def rcpt_once(gw, rcpt):
    with gw.client(helo="client.example") as c:
        return try_rcpt(c, rcpt)[0]


@test
def limits_and_listener_options_change():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw:
        with gw.client() as c:
            match(c.want("EHLO client.example", 250), "SIZE 26214400", "EHLO")
        change(gw, f"port {gw.port}", f"port {gw.port} max-size 64K "
               'hostname "other.example" no-rdns')
        good(gw)
        with gw.client() as c:
            match(c.greeting[1], r"^other\.example ", "greeting")
            match(c.want("EHLO client.example", 250), "SIZE 65536", "EHLO")


@test
def an_error_keeps_the_old_one():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw:
        before = gw.conf_text
        line = before.count("\n")
        mark = gw.mark()
        gw.conf_text += "banana\nmatch for any action nowhere\n"
        gw.write_conf()
        err = reload(gw)
        for n, what in ((1, "unknown statement `banana'"),
                        (2, "unknown action `nowhere'")):
            match(err, rf"(?m)^{gw.conf_path}:{line + n}: {what}", "its place")
        match(err, "the configuration stays", "and what became of it")
        gw.wait_log(r"configuration text=.*unknown statement", since=mark)
        gw.wait_log(r"reload result=refused errors=2", since=mark)
        equal(rcpt_once(gw, "b@example.net"), 250, "the old rules")
        code, out, _ = gw.ctl("-j", "reload")
        equal(code, 1, "exit with -j")
        got = json.loads(out)
        equal((got["reloaded"], len(got["messages"])), (False, 2), "JSON")
        os.remove(gw.conf_path)
        match(reload(gw), "No such file", "without a file")
        equal(rcpt_once(gw, "b@example.net"), 250, "the old rules")
        gw.conf_text = before
        gw.write_conf()
        good(gw)
        equal(gw.json("reload")["reloaded"], True, "JSON")


@test
def warnings_are_told():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw:
        gw.conf_text += "match from any for any action out\n"
        gw.write_conf()
        code, out, err = gw.ctl("reload")
        equal(code, 0, err)
        match(err, "open relay", "the warning")
        gw.wait_log(r"configuration text=.*open relay")


# What a running gateway cannot change: (old, new, how it is called).
SETTLED = (
    ('/spool"', '/mail"', "`spool'"),
    ("log stderr", "log stderr\nworkers smtpd 3", "`workers smtpd'"),
    ("log stderr", "log stderr\nworkers delivery 3", "`workers delivery'"),
    ("log stderr", 'log stderr\nresolver-user "games"', "`resolver-user'"),
    ("log stderr", 'log stderr\ndialer-user "games"', "`dialer-user'"),
    ("log stderr", 'log stderr\nfetch-user "games"', "`fetch-user'"),
    ("log stderr", 'log stderr\nvault-user "games"', "`vault-user'"),
    ("log stderr", 'log stderr\nsmtpd-user "games"', "`smtpd-user'"),
    ("log stderr", 'log stderr\ncontrol-user "games"', "`control-user'"),
    ("log stderr", 'log stderr\ndelivery-user "games"', "`delivery-user'"),
    ("log stderr", 'log stderr\ndial-group games', "`dial-group'"),
    ("log stderr", 'log stderr\nmilter f socket "/x" connections 50000',
     "`limit connections', .* `connections' of milters"),
    ("log stderr", "log stderr\nlimit connections 20000",
     "`limit connections'"),
)


@test
def what_needs_a_restart_is_named():
    gw = Gateway(CONF + '''workers delivery 1
action box maildir "$dir/mail/%{rcpt.user}" user "mail"
match for domain "box.example" action box
''', {"hop": MX().hop})
    with gw:
        before = gw.conf_text
        status = gw.json("show", "status")
        for old, new, what in SETTLED:
            gw.conf_text = before.replace(gw.expand(old), gw.expand(new))
            if new.startswith("log stderr\nworkers delivery"):
                gw.conf_text = gw.conf_text.replace("workers delivery 1\n", "")
            assert gw.conf_text != before, old
            # A rule that must not hold, whatever else is in there.
            gw.conf_text += 'match for domain "new.example" action out\n'
            gw.write_conf()
            answer = reload(gw)
            line = "" if "limit" in what else r":\d+"
            match(answer, rf"(?m)^{gw.conf_path}{line}: {what}.*: needs a "
                  r"restart \(SIGUSR2\)$", what)
            equal(answer.count("needs a restart"), 1, answer)
            equal(rcpt_once(gw, "b@new.example"), 550, what)
        after = gw.json("show", "status")
        equal([p["pid"] for p in after["processes"]],
              [p["pid"] for p in status["processes"]], "nobody died")
        equal("resolver" in [p["role"] for p in after["processes"]], True,
              "a resolver runs")
        gw.conf_text = before
        gw.write_conf()
        good(gw)


@test
def tables_are_read_again():
    gw = Gateway('''action out relay to "$hop"
table users file "$dir/users"
match for rcpt users action out
''', {"hop": MX().hop})
    users = f"{gw.dir}/users"

    def write(text):
        with open(users, "w") as f:
            f.write(text)
        os.chmod(users, 0o644)

    write("a@example.net\n")
    with gw:
        equal(rcpt_once(gw, "a@example.net"), 250, "in the table")
        write("b@example.net\n")
        equal(rcpt_once(gw, "b@example.net"), 550, "not before the reload")
        good(gw)
        equal(rcpt_once(gw, "b@example.net"), 250, "the new one")
        equal(rcpt_once(gw, "a@example.net"), 550, "the old one")
        write("not an address\n")
        match(reload(gw), "users", "an error in the table")
        equal(rcpt_once(gw, "b@example.net"), 250, "it stays")


@test
def another_name_server_is_asked():
    first = DNS({"www.example": {"A": "192.0.2.1"}})
    second = DNS({"www.example": {"A": "192.0.2.2"}})
    before, after = (d.conf("timeout 30s") for d in (first, second))
    gw = Gateway(CONF + before, {"hop": MX().hop})
    with gw:
        def address():
            got = gw.json("resolve", "www.example", "A")
            return [r["data"] for r in got["records"]]

        equal(address(), ["192.0.2.1"], "the first server")
        change(gw, before, after)
        good(gw)
        equal(address(), ["192.0.2.2"], "the second, and nothing remembered")


@test
def queued_mail_goes_by_the_actions_of_today():
    away = MX(faults={"connect": Reply("421 4.3.2 not now")})
    there = MX()
    gw = Gateway(CONF + "queue retry 1h\n", {"hop": away.hop})
    ledger = Ledger()
    with gw:
        with gw.client(helo="client.example") as c:
            reply = ledger.send(c, "one")
        equal(gw.fate(queued_id(reply))[0], "deferred", "nobody there")
        change(gw, away.hop, there.hop)
        good(gw)
        gw.ctl("flush", "all", check=0)
        there.wait()
        gw.wait_empty()
        ledger.check(gw, [there])


@test
def maildirs_under_new_numbers():
    gw = Gateway('''action box maildir "$dir/mail/%{rcpt.user}" user "mail"
match for domain "box.example" action box
''')
    ledger = Ledger()
    with gw:
        def send(token, user):
            with gw.client(helo="client.example") as c:
                reply = ledger.send(c, token, rcpts=f"{user}@box.example")
            equal(gw.fate(queued_id(reply))[0], "delivered", token)

        send("one", "joe")
        change(gw, "action box maildir", "action first discard\n"
               'match for domain "none.example" action first\n'
               "action box maildir")
        change(gw, "/mail/%{rcpt.user}", "/mail/new-%{rcpt.user}")
        good(gw)
        send("two", "joe")
        pid, = gw.role_pids("maildir")
        mark = gw.mark()
        os.kill(pid, signal.SIGKILL)
        gw.wait_log(r"died process=maildir", since=mark)
        wait_until(lambda: gw.role_pids("maildir") not in ([], [pid]),
                   "its successor")
        send("three", "joe")
        equal([len(gw.maildir(d)) for d in ("joe", "new-joe")], [1, 2],
              "where they lie")
        ledger.check(gw, [], ["joe", "new-joe"])


@test
def who_starts_later_has_the_new_one():
    gw = Gateway(CONF + "workers smtpd 1\n", {"hop": MX().hop})
    with gw:
        change(gw, '"example.net"', '"two.example"')
        good(gw)
        pid, = gw.role_pids("smtpd")
        mark = gw.mark()
        os.kill(pid, signal.SIGKILL)
        gw.wait_log(r"died process=smtpd", since=mark)
        equal(rcpt_once(gw, "b@two.example"), 250, "the successor")
        equal(rcpt_once(gw, "b@example.net"), 550, "the successor")


@test
def under_load_nothing_is_refused_or_lost():
    mx = MX()
    gw = Gateway(CONF + "limit connections-per-source 1000 "
                 "rate-per-source 100000/1m\n", {"hop": mx.hop})
    ledger = Ledger()
    with gw:
        load = Load(gw, ledger)
        pids = gw.pids()
        for i in range(30):
            had = load.sent
            if i % 3 == 2:
                gw.conf_text += "banana\n"
                gw.write_conf()
                match(reload(gw), "banana", "an error between")
                gw.conf_text = gw.conf_text[:-len("banana\n")]
            else:
                gw.conf_text += f"# {i}\n"
                gw.write_conf()
                good(gw)
            # Mail goes on between two of them.
            load.reach(had + 1)
        load.stop()
        gw.wait_empty()
        ledger.check(gw, [mx])
        equal(sorted(gw.pids()), sorted(pids), "nobody died")
        equal(gw.log_has(r" died "), [], "nobody died")


@test
def many_at_once():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw:
        answers = []

        def one():
            answers.append(gw.ctl("reload")[0])

        threads = [threading.Thread(target=one) for _ in range(16)]
        for t in threads:
            t.start()
            os.kill(gw.proc.pid, signal.SIGHUP)
        for t in threads:
            t.join()
        equal(answers, [0] * 16, "each was answered")
        equal(rcpt_once(gw, "b@example.net"), 250, "still there")
        equal(gw.log_has(r" died "), [], "nobody died")


def fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


TWO = '''action two maildir "$dir/mail/%{rcpt.user}/two" user "mail"
match for rcpt { "two@two.example" } action two
'''


@test
def nothing_piles_up_for_who_does_not_read():
    gw = Gateway(CONF + '''limit rate-per-source 1000000/1s
match for domain "box.example" action box
action box maildir "$dir/mail/%{rcpt.user}" user "mail"
''' + TWO, {"hop": MX().hop})
    ledger = Ledger()
    with gw:
        pids = gw.pids()
        stuck, = gw.role_pids("maildir")
        client = gw.client(helo="client.example")
        before = fds(gw.proc.pid)
        change(gw, gw.expand(TWO), "")
        good(gw)
        # A table and the directory less.
        before -= 2
        wait_until(lambda: fds(gw.proc.pid) == before,
                   f"{before} descriptors of the parent")
        start = gw.mark()
        os.kill(stuck, signal.SIGSTOP)
        for _ in range(60):
            mark = gw.mark()
            os.kill(gw.proc.pid, signal.SIGHUP)
            gw.wait_log(r"reload signal=1", since=mark)
            equal(try_rcpt(client, "b@example.net")[0], 250, "the others")
        # At most what is on its way to the one that is stuck.
        wait_until(lambda: fds(gw.proc.pid) <= before + 2,
                   f"no more than {before} descriptors")
        # Nor does it hold up what is changed for the others.
        change(gw, 'match for domain "example.net"',
               'match for domain { "example.net", "late.example" }')
        os.kill(gw.proc.pid, signal.SIGHUP)
        wait_until(lambda: rcpt_once(gw, "b@late.example") == 250, "the rule")
        equal(gw.log_has(r"reload result=ok", since=start), [], "not yet")
        change(gw, '"box.example"', '"last.example"')
        mark = gw.mark()
        os.kill(gw.proc.pid, signal.SIGHUP)
        gw.wait_log(r"reload signal=1", since=mark)
        os.kill(stuck, signal.SIGCONT)
        gw.wait_log(r"reload result=ok", since=mark)
        wait_until(lambda: fds(gw.proc.pid) == before,
                   f"{before} descriptors of the parent")
        with gw.client(helo="client.example") as c:
            reply = ledger.send(c, "one", rcpts="joe@last.example")
        equal(gw.fate(queued_id(reply))[0], "delivered", "by the last")
        ledger.check(gw, [], ["joe"])
        equal(sorted(gw.pids()), sorted(pids), "nobody died")
        equal(gw.log_has(r" died "), [], "nobody died")


@test
def somebody_dies_in_the_middle():
    gw = Gateway(CONF + '''workers smtpd 2 delivery 1
action box maildir "$dir/mail/%{rcpt.user}" user "mail"
match for domain "box.example" action box
''', {"hop": MX().hop})
    ledger = Ledger()
    with gw:
        old, new = "box.example", "crate.example"
        # The queue before there is a delivery that it could forget.
        for role in ("queue", "smtpd", "resolver", "delivery", "maildir",
                     "control"):
            change(gw, f'"{old}"', f'"{new}"')
            mark = gw.mark()
            pid = gw.role_pids(role)[0]
            # It has the signal's configuration before it, or never.
            os.kill(pid, signal.SIGSTOP)
            os.kill(gw.proc.pid, signal.SIGHUP)
            gw.wait_log(r"reload signal=1", since=mark)
            os.kill(gw.proc.pid, signal.SIGHUP)
            os.kill(pid, signal.SIGKILL)
            gw.wait_log(rf" died process={role}", since=mark)
            gw.wait_log(r"reload result=ok", since=mark)
            wait_until(lambda: gw.ctl("reload")[0] == 0, "another reload")
            with gw.client(helo="client.example") as c:
                wait_until(lambda: try_mail(c), f"{role}: a queue")
                equal(try_rcpt(c, f"b@{old}")[0], 550, f"{role}: old rules")
                reply = ledger.send(c, role, rcpts=f"joe@{new}")
            equal(gw.fate(queued_id(reply))[0], "delivered", role)
            old, new = new, old
        ledger.check(gw, [], ["joe"])


@test
def short_of_descriptors():
    """At whichever it is: all or nothing, and nobody has to die for it."""
    gw = Gateway(CONF + "workers smtpd 2\n" + "".join(
        f'table t{i} {{ "t{i}.example" }}\nmatch for domain t{i} action out\n'
        for i in range(20)), {"hop": MX().hop})
    with gw, gw.client(helo="client.example") as old:
        pids, parent = sorted(gw.pids()), gw.proc.pid
        had = resource.prlimit(parent, resource.RLIMIT_NOFILE)
        results = set()
        more = f"listen on {gw.address} port {free_port(gw.address)}\n"
        text = gw.conf_text
        for spare in range(120):
            gw.conf_text = text + (more if spare % 2 else "")
            gw.write_conf()
            used = {int(n) for n in os.listdir(f"/proc/{parent}/fd")}
            free = [n for n in range(4096) if n not in used]
            mark = gw.mark()
            resource.prlimit(parent, resource.RLIMIT_NOFILE,
                             (free[spare], had[1]))
            os.kill(parent, signal.SIGHUP)
            line = gw.wait_log(r"reload result=(ok|refused)", since=mark)
            resource.prlimit(parent, resource.RLIMIT_NOFILE, had)
            results.add(re.search(r"result=(\w+)", line)[1])
        equal(results, {"ok", "refused"}, "few and many")
        equal(sorted(gw.pids()), pids, "nobody died")
        equal(gw.log_has(r" died "), [], "nobody died")
        equal(try_rcpt(old, "b@example.net")[0], 250, "the session")


def try_mail(client):
    code, _ = client.cmd("MAIL FROM:<a@client.example>")
    client.want("RSET", 250)
    return code == 250


main()
