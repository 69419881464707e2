#!/usr/bin/python3
"""The parent: starts that must fail and say why, the background, restarts,
signals, and its own death."""
import os
import resource
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

CONF = '''
action out relay to "smtp://127.0.0.1:9"
match from any for any action out
'''
ROLES = ("smtpd", "resolver", "queue", "delivery", "control")


def run(gw, *args, **kw):
    p = subprocess.run(gw.command(*args), stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=DEADLINE, **kw)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def refuses(gw, *patterns, **kw):
    """It does not start, in the foreground nor in the background, and every
    reason is there, once."""
    for args in (("-d",), ()):
        code, _, err = run(gw, *args, **kw)
        equal(code, 1, f"exit status of posternd {args}: {err}")
        for pattern in patterns:
            equal(len(re.findall(pattern, err)), 1, f"{pattern}: {err}")
    wait_until(lambda: not processes(gw), "nothing left running")
    gw.remove()


def processes(gw):
    """Parents that were started with this configuration."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if gw.conf_path.encode() in f.read() and is_running(int(pid)):
                    found.append(int(pid))
        except OSError:
            pass
    return found


@test
def checks_only():
    gw = Gateway(CONF)
    equal(run(gw, "-n"), (0, "configuration OK\n", run(gw, "-n")[2]), "-n")
    gw.conf_text += "nonsense\nlimit hops banana\n"
    gw.write_conf()
    code, out, err = run(gw, "-n")
    equal((code, out), (1, ""), "-n with errors")
    match(err, r"postern\.conf:\d+: .*\n(.*\n)*.*postern\.conf:\d+: ",
          "both errors")
    equal(os.listdir(f"{gw.dir}/control"), [], "sockets made by -n")
    gw.remove()


@test
def wrong_command_lines():
    """What is wrong, and of which word it is said, before the usage."""
    gw = Gateway(CONF)
    many = [w for i in range(65) for w in ("-D", f"m{i}=1")]
    for args, why in ((("-x",), "invalid option -- 'x'"),
                      (("-D", "foo"), "foo: -D wants name=value"),
                      (("-D", "=1"), "=1: -D wants a name "),
                      (("-D", "a b=1"), "a b=1: -D wants a name "),
                      (many, "m64=1: one -D too many"),
                      (("word",), "word: not an option")):
        code, out, err = run(gw, "-n", *args)
        equal((code, out), (2, ""), f"posternd {args}")
        said, usage = err.splitlines()
        assert said.startswith(f"posternd: {why}") or \
            said.endswith(f"posternd: {why}"), said
        match(usage, "^usage: posternd ", args)
    gw.remove()


@test
def missing_user():
    if not ROOT:
        raise Skip("only root takes other users")
    gw = Gateway(CONF)
    gw.conf_text = gw.conf_text.replace('"daemon"', '"nosuchuser"')
    gw.write_conf()
    refuses(gw, r"user nosuchuser \(of queue\) does not exist")


@test
def user_with_the_rights_of_root():
    if not ROOT:
        raise Skip("only root takes other users")
    gw = Gateway(CONF)
    gw.conf_text = gw.conf_text.replace('"nobody"', '"root"')
    gw.write_conf()
    refuses(gw, r"user root \(of \w+\) has the rights of root")


@test
def spool_of_another():
    if not ROOT:
        raise Skip("only root can give it away")
    gw = Gateway(CONF)
    os.chown(f"{gw.dir}/spool", 0, 0)
    refuses(gw, r"spool .*/spool is not writable by its user daemon")


@test
def spool_open_to_others():
    gw = Gateway(CONF)
    os.chmod(f"{gw.dir}/spool", 0o755)
    refuses(gw, r"spool .* is open to others")


@test
def spool_is_made():
    gw = Gateway(CONF)
    os.rmdir(f"{gw.dir}/spool")
    with gw:
        st = os.stat(f"{gw.dir}/spool")
        equal(st.st_mode & 0o777, 0o700, "its mode")
        if ROOT:
            equal(st.st_uid, pwd.getpwnam("daemon").pw_uid, "its owner")


@test
def spool_and_base_without_a_parent():
    gw = Gateway('action box maildir "$dir/no/mail/%{rcpt.user}" user "mail"'
                 '\nmatch from any for any action box\n')
    gw.conf_text = gw.conf_text.replace(f"{gw.dir}/spool", f"{gw.dir}/no/s")
    gw.write_conf()
    refuses(gw, r"spool .*/no/s: No such file",
            r"action box: .*/no/mail: No such file")


@test
def port_in_use():
    gw = Gateway(CONF)
    taken = socket.create_server((gw.address, gw.port))
    refuses(gw, rf"listen on {gw.address} port {gw.port} .*in use")
    taken.close()


@test
def port_of_another_gateway():
    """SO_REUSEPORT alone would let both share it."""
    with Gateway(CONF) as first:
        second = Gateway(CONF)
        second.conf_text = second.conf_text.replace(
            f"listen on {second.address} port {second.port}",
            f"listen on {first.address} port {first.port}")
        second.write_conf()
        refuses(second, r"listen on .* in use")


@test
def spool_of_another_gateway():
    with Gateway(CONF) as first:
        second = Gateway(CONF)
        second.conf_text = second.conf_text.replace(
            f"{second.dir}/spool", f"{first.dir}/spool")
        second.write_conf()
        refuses(second, r"queue: .*(lock|another|use)")


@test
def too_few_descriptors():
    """Enough for the tables, and none for handing them on."""
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000))

    tables = [f't{i} {{ "a{i}.example" }}' for i in range(850)]
    refuses(Gateway("".join(f"table {t}\n" for t in tables) + CONF +
                    "".join(f"match for domain t{i} reject\n"
                            for i in range(len(tables)))),
            # None is left for the sanitizer either, which looks for leaks.
            "Too many open files", preexec_fn=few,
            env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))


@test
def sockets_that_are_there():
    gw = Gateway(CONF)
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(gw.control)
    stale.close()
    with gw:
        equal(gw.json("show", "status")["paused"], [], "the stale one gave way")
        equal(os.stat(gw.control).st_mode & 0o777, 0o660, "control's mode")
        equal(os.stat(gw.submit).st_mode & 0o777, 0o666, "submit's mode")
        gw.stop()
        equal(os.listdir(f"{gw.dir}/control"), [], "sockets after the stop")
    gw = Gateway(CONF)
    with open(gw.submit, "w") as f:
        f.write("precious")
    live = socket.socket(socket.AF_UNIX)
    live.bind(gw.control)
    live.listen(1)
    refuses(gw, r"submit.sock is there and is not a socket",
            r"postern.sock: another process listens there")
    live.close()


@test
def in_the_background():
    gw = Gateway(CONF)
    gw.conf_text = gw.conf_text.replace("log stderr",
                                        f'log file "{gw.dir}/log"')
    gw.write_conf()
    # Without standard descriptors, with others, and a hostile umask.
    p = subprocess.run(
        ["sh", "-c", 'umask 0777; exec "$@" 7</dev/null <&- >&- 2>&-', "sh",
         *gw.command()], timeout=DEADLINE)
    equal(p.returncode, 0, "the starting process")
    (parent,) = processes(gw)
    equal(gw.json("show", "status")["pid"], parent, "it is ready by now")
    # Only root may look into those that are not dumpable.
    for pid in [parent, *children(parent)] if ROOT else [parent]:
        equal({os.readlink(f"/proc/{pid}/fd/{n}") for n in (0, 1, 2)},
              {"/dev/null"}, "standard descriptors")
    c = gw.client()
    c.cmd("EHLO x")
    equal(c.mail("a@b.example", ["c@d.example"], letter("t"))[0], 250, "mail")
    reopens_log(gw, parent)
    pids = [parent, *children(parent)]
    os.kill(parent, signal.SIGTERM)
    wait_gone(pids)
    equal(os.path.exists(gw.control), False, "the control socket")
    gw.remove()


def reopens_log(gw, parent):
    os.rename(f"{gw.dir}/log", f"{gw.dir}/log.1")
    os.kill(parent, signal.SIGUSR1)

    def log():
        try:
            with open(f"{gw.dir}/log") as f:
                return f.read()
        except FileNotFoundError:
            return ""
    wait_until(lambda: "parent log " in log(), "a new log")

    def child_writes():
        c = gw.client()
        c.cmd("QUIT")
        return "smtpd connect" in log()
    wait_until(child_writes, "a child's line in the new log")


@test
def every_role_comes_back():
    with Gateway(CONF) as gw:
        for role in ROLES:
            mark = gw.mark()
            (pid,) = [p["pid"] for p in gw.json("show", "status")["processes"]
                      if p["role"] == role][:1]
            os.kill(pid, signal.SIGKILL)
            gw.wait_log(rf"parent died process={role} .*pid={pid} .*SIGKILL",
                        since=mark)

            def back():
                code, out, _ = gw.ctl("-j", "show", "status")
                return code == 0 and any(
                    p["role"] == role and p["restarts"] == 1 and p["sandbox"]
                    for p in json.loads(out)["processes"])
            wait_until(back, f"{role} to come back")

            def taken():
                try:
                    c = gw.client()
                    c.cmd("EHLO x")
                    return c.mail("a@b.example", ["c@d.example"],
                                  letter(role))[0] == 250
                except (AssertionError, OSError):
                    return False
            wait_until(taken, f"a mail to be taken after {role}")


@test
def back_off():
    with Gateway(CONF) as gw:
        for delay in (0, 1, 2):
            mark = gw.mark()
            wait_until(lambda: gw.role_pids("delivery"), "a delivery")
            pid = gw.role_pids("delivery")[0]
            os.kill(pid, signal.SIGKILL)
            gw.wait_log(rf"parent died process=delivery .*pid={pid} ",
                        since=mark)
            if delay:
                gw.wait_log(rf"parent restart process=delivery .*delay={delay}"
                            r"$", since=mark)


@test
def counts_sessions_over_all_workers():
    conf = "workers smtpd 3\nlimit connections 4 connections-per-source 100\n"
    with Gateway(conf + CONF) as gw:
        def sessions():
            return {l["address"]: l["sessions"]
                    for l in gw.json("show", "status")["listeners"]}
        # More than the limit for one process would be, on each of them.
        clients = [gw.client() for _ in range(4)]
        for c in clients:
            match(c.greeting, "220", "within the limit")
        equal(sessions()[gw.address], 4, "sessions on the listener")
        match(gw.client().greeting, "421", "beyond the limit")
        clients.pop().close()
        wait_until(lambda: sessions()[gw.address] == 3, "one less")
        match(gw.client().greeting, "220", "within it again")
        for pid in gw.role_pids("smtpd"):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: sessions()[gw.address] == 0,
                   "a dead worker's sessions to be forgotten")


@test
def death_of_the_parent():
    with Gateway(CONF) as gw:
        c = gw.client()
        pids = gw.pids()
        os.kill(pids[0], signal.SIGKILL)
        gw.proc.wait()
        wait_gone(pids)
        c.close()
        gw.proc = None
        # Its sockets lie there, and nobody answers: the next one starts.
        gw.start()
        gw.client().close()


@test
def stops_by_signal_and_by_command():
    for how in (signal.SIGTERM, signal.SIGINT, None):
        with Gateway(CONF) as gw:
            pids = gw.pids()
            if how is None:
                gw.ctl("stop", check=0)
            else:
                os.kill(pids[0], how)
            equal(gw.proc.wait(DEADLINE), 0, f"exit status after {how}")
            wait_gone(pids)
            gw.proc = None
            equal(gw.log_has("parent died|did not stop in time"), [],
                  "a clean stop")


@test
def role_that_cannot_start():
    """Its reason becomes the parent's."""
    gw = Gateway(CONF)
    with open(f"{gw.dir}/spool/lock", "w") as f:
        os.chmod(f.name, 0)
    if ROOT:
        os.chown(f"{gw.dir}/spool/lock", 0, 0)
    refuses(gw, r"posternd: queue: ")


def with_another(gw, role):
    """A copy of the programs of which one comes from another build."""
    gw.build = f"{gw.dir}/build"
    os.makedirs(f"{gw.build}/sbin")
    libexec = f"{gw.build}/libexec/postern"
    # posternd finds them beside its folder, as where it was installed.
    shutil.copytree(f"{BUILD}/libexec/postern", libexec)
    shutil.copy(f"{BUILD}/tests/lib/other_build", f"{libexec}/{role}")
    shutil.copy(f"{BUILD}/posternd", f"{gw.build}/sbin")
    gw.build += "/sbin"


@test
def role_of_another_build():
    for role, why in (("smtpd", "built from other definitions than posternd"),
                      ("control", "peer was built from other definitions")):
        gw = Gateway(CONF)
        with_another(gw, role)
        refuses(gw, rf"posternd: {role}: .*{why}")


@test
def program_replaced_while_running():
    gw = Gateway(CONF)
    with_another(gw, "other")
    smtpd = f"{gw.build}/../libexec/postern/smtpd"
    with gw:
        # Not written over: it runs.
        os.rename(smtpd, smtpd + ".old")
        os.rename(f"{smtpd[:-5]}other", smtpd)
        os.kill(gw.role_pids("smtpd")[0], signal.SIGKILL)
        gw.wait_log(r"parent died process=smtpd .* reason="
                    r'"built from other definitions than posternd"')
        os.rename(smtpd + ".old", smtpd)

        def taken():
            try:
                c = gw.client()
                c.cmd("EHLO x")
                return c.mail("a@b.example", ["c@d.example"],
                              letter("t"))[0] == 250
            except (AssertionError, OSError):
                return False
        wait_until(taken, "a mail to be taken by the right one")


@test
def moved_with_its_programs():
    gw = Gateway(CONF)
    with_another(gw, "other")
    with gw:
        for pid in gw.pids() if ROOT else gw.pids()[:1]:
            match(os.readlink(f"/proc/{pid}/exe"), f"^{gw.dir}/", "program")


@test
def protected_when_memory_runs_out():
    if not ROOT:
        raise Skip("only root may ask for it")
    try:
        # What a test may give itself, a gateway may.
        subprocess.run(["sh", "-c", "echo -900 >/proc/self/oom_score_adj"],
                       check=True, stderr=subprocess.PIPE)
    except subprocess.CalledProcessError as e:
        raise Skip("CAP_SYS_RESOURCE is missing") from e

    def score(pid):
        with open(f"/proc/{pid}/oom_score_adj") as f:
            return int(f.read())
    with Gateway(CONF) as gw:
        equal(score(gw.pids()[0]), -900, "the parent")
        equal(score(gw.role_pids("queue")[0]), -800, "the queue")
        for role in ("smtpd", "resolver", "delivery", "control"):
            equal(score(gw.role_pids(role)[0]), max(score(os.getpid()), 0),
                  role)


if __name__ == "__main__":
    main()
