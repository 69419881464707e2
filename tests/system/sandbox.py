#!/usr/bin/python3
"""The jail of the running roles, asked of the kernel.

/proc says what each process is (filter, capabilities, ids, root, limits,
descriptors). Then a helper traces the running role and makes it ask for what
it may not have: it has to die of SIGSYS, or be refused where the table says
so. Each such death is one that the parent has to see, name and repair.
"""
import collections
import grp
import os
import platform
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

PROBE = os.path.join(BUILD, "tests", "lib", "sandbox_probe")
ROLES = ("smtpd", "resolver", "queue", "delivery", "maildir", "control",
         "dialer", "vault", "fetch", "web")
CONF = '''
dial-group daemon mail
http $own_address port $http
milter local socket "unix:$dir/filter.sock"
milter inet socket "inet:9@127.0.0.1"
action out relay to "smtp://127.0.0.1:9"
action box maildir "$dir/mail/%{rcpt.user}" user "mail"
action pipe mda "/bin/cat" user "mail"
match from any for domain { "box.example" } action box
match from any for domain { "pipe.example" } action pipe
match from any for any action out
'''


def conf():
    return CONF.replace("$http", str(free_port(own_address())))


OWNER = {"queue": "daemon", "maildir": "mail"}  # else nobody
GROUPS = {"dialer": ("daemon", "mail")}  # besides the user's own

FILES = ("queue", "maildir", "fetch")
ACCEPT = ("smtpd", "control", "web")
CONNECT = ("delivery", "resolver", "dialer", "fetch")
UDP = ("resolver",)
NET = ACCEPT + CONNECT
NO_SOCKET = ("web",)  # it is told so, and lives

# name, number on x86-64, arguments, roles that may (their answer is not ours
# to judge).
FORBIDDEN = (
    ("open", 2, ("@/etc/passwd", 0), ()),
    ("openat", 257, (-100, "@/etc/passwd", 0), FILES),
    ("creat", 85, ("@/tmp/x", 0o600), ()),
    ("unlink", 87, ("@/tmp/x",), ()),
    ("unlinkat", 263, (-100, "@/tmp/x", 0), FILES),
    ("renameat2", 316, (-100, "@/a", -100, "@/b", 0), FILES),
    ("mkdirat", 258, (-100, "@/tmp/x", 0o700), FILES),
    ("symlinkat", 266, ("@/etc", -100, "@/tmp/x"), ()),
    ("mknodat", 259, (-100, "@/tmp/x", 0o600, 0), ()),
    ("chmod", 90, ("@/tmp/x", 0o777), ()),
    ("fchownat", 260, (-100, "@/tmp/x", 0, 0, 0), ()),
    ("socket inet", 41, (2, 1, 0), CONNECT + NO_SOCKET),
    ("socket inet udp", 41, (2, 2, 0), UDP + NO_SOCKET),
    ("socket unix", 41, (1, 1, 0), ("dialer",) + NO_SOCKET),
    ("socket unix datagram", 41, (1, 2, 0), NO_SOCKET),
    ("socket unix seqpacket", 41, (1, 5, 0), NO_SOCKET),
    ("socket netlink", 41, (16, 3, 0), NO_SOCKET),
    ("socketpair", 53, (1, 1, 0, 0), ()),
    ("connect", 42, (3, 0, 0), CONNECT),
    ("bind", 49, (3, 0, 0), ("delivery",)),
    ("listen", 50, (3, 1), ()),
    ("accept", 43, (3, 0, 0), ()),
    ("accept4", 288, (3, 0, 0, 0), ACCEPT),
    ("execve", 59, ("@/bin/true", 0, 0), ()),
    ("execveat", 322, (-100, "@/bin/true", 0, 0, 0), ()),
    ("fork", 57, (), ()),
    ("vfork", 58, (), ()),
    ("clone", 56, (17, 0, 0, 0, 0), ()),
    ("ptrace", 101, (16, 1, 0, 0), ()),
    ("process_vm_readv", 310, (1, 0, 0, 0, 0, 0), ()),
    ("process_vm_writev", 311, (1, 0, 0, 0, 0, 0), ()),
    ("pidfd_open", 434, (1, 0), ()),
    ("kill", 62, (1, 0), ()),
    ("tkill", 200, (1, 0), ()),
    ("tgkill of another", 234, (1, 1, 0), ()),
    ("setitimer of wall time", 38, (0, 0, 0), ()),
    ("setuid", 105, (0,), ()),
    ("setresuid", 117, (0, 0, 0), ()),
    ("setgroups", 116, (0, 0), ()),
    ("capset", 126, (0, 0), ()),
    ("prctl", 157, (4, 1, 0, 0, 0), ()),
    ("seccomp", 317, (0, 0, 0), ()),
    ("mmap exec", 9, (0, 4096, 4, 0x22, -1, 0), ()),
    ("mprotect exec", 10, (0, 4096, 4), ()),
    ("memfd_create", 319, ("@x", 0), ()),
    ("chroot", 161, ("@/",), ()),
    ("chdir", 80, ("@/",), ()),
    ("mount", 165, ("@/", "@/", 0, 0, 0), ()),
    ("unshare", 272, (0x10000000,), ()),
    ("setns", 308, (0, 0), ()),
    ("bpf", 321, (0, 0, 0), ()),
    ("perf_event_open", 298, (0, 0, 0, 0, 0), ()),
    ("io_uring_setup", 425, (1, 0), ()),
    ("userfaultfd", 323, (0,), ()),
    ("keyctl", 250, (0, 0, 0), ()),
    ("reboot", 169, (0, 0, 0, 0), ()),
    ("init_module", 175, (0, 0, 0), ()),
    ("a call of x32", 0x40000000 | 39, (), ()),
)

# What is refused and survived: name, number, arguments, roles, answers.
HIDDEN = ("errno EACCES", "errno ENOENT", "errno EXDEV", "errno EPERM")
REFUSED = (
    ("clone3", 435, (0, 0), ROLES, ("errno ENOSYS",)),
    ("openat2", 437, (-100, "@/", 0, 0),
     tuple(r for r in NET if r not in FILES), ("errno ENOSYS",)),
    ("socket inet of web", 41, (2, 1, 0), NO_SOCKET, ("errno EPERM",)),
    ("socket unix of web", 41, (1, 1, 0), NO_SOCKET, ("errno EPERM",)),
    ("socket netlink of web", 41, (16, 3, 0), NO_SOCKET, ("errno EPERM",)),
    ("openat /etc/passwd", 257, (-100, "@/etc/passwd", 0), FILES, HIDDEN),
    ("openat /proc/self/mem", 257, (-100, "@/proc/self/mem", 2), FILES,
     HIDDEN),
    ("openat of a new file", 257, (-100, "@/tmp/probe", 0o102, 0o600), FILES,
     HIDDEN),
    ("mkdirat /tmp/probe", 258, (-100, "@/tmp/probe", 0o700), FILES, HIDDEN),
    ("unlinkat /etc/passwd", 263, (-100, "@/etc/passwd", 0), FILES, HIDDEN),
)


class Counts:
    passed = failed = 0


def check(ok, what, got=""):
    if ok:
        Counts.passed += 1
        print(f"ok {what}", flush=True)
    else:
        Counts.failed += 1
        print(f"FAIL {what}: {got}", flush=True)


# --- what /proc says ---

def proc(pid, name):
    with open(f"/proc/{pid}/{name}") as f:
        return f.read()


def fields(pid, name="status"):
    return dict(line.split(":\t", 1) for line in proc(pid, name).splitlines()
                if ":\t" in line)


def check_ids(role, pid, user, groups=()):
    who = pwd.getpwnam(user)
    f = fields(pid)
    check(set(f["Uid"].split()) == {str(who.pw_uid)}, f"{role}: uid {user}",
          f["Uid"])
    check(set(f["Gid"].split()) == {str(who.pw_gid)}, f"{role}: gid", f["Gid"])
    more = {str(grp.getgrnam(g).gr_gid) for g in groups}
    own = {str(who.pw_gid)}
    check(more <= set(f["Groups"].split()) <= own | more,
          f"{role}: no other groups", f["Groups"])


def check_kernel(role, pid):
    f = fields(pid)
    for key in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        check(int(f[key], 16) == 0, f"{role}: {key} is empty", f[key])
    tasks = os.listdir(f"/proc/{pid}/task")
    for tid in tasks:
        t = fields(f"{pid}/task/{tid}")
        check(t["Seccomp"] == "2" and t["NoNewPrivs"] == "1",
              f"{role}: filter and no_new_privs, a thread of {len(tasks)}",
              t)


def check_process(role, pid, limit_nproc):
    check_kernel(role, pid)
    check(os.stat(f"/proc/{pid}/mem").st_uid == 0, f"{role}: not dumpable")
    limits = proc(pid, "limits")
    check(re.search(r"Max core file size +0 +0", limits), f"{role}: no core",
          limits)
    if limit_nproc:
        may_drop = int(fields(os.getpid())["CapEff"], 16) & 1 << 8
        bound = fields(pid)["CapBnd"]
        check(int(bound, 16) == 0 or not may_drop,
              f"{role}: CapBnd is empty", bound)
        check(re.search(r"Max processes +0 +0", limits),
              f"{role}: no processes", limits)
    check(cmdline(pid) == [role], f"{role}: its own program", cmdline(pid))
    env = proc(pid, "environ").split("\0")
    check(not [e for e in env if e.startswith("HOSTILE")],
          f"{role}: a clean environment", env)


def check_descriptors(role, pid, gw):
    own = {"queue": gw.dir + "/spool", "maildir": gw.dir + "/mail",
           "fetch": gw.dir + "/spool/mta-sts"}.get(role)
    strange = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            link = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            continue  # closed meanwhile
        if re.match(r"socket:|pipe:|anon_inode:|/dev/null$|/memfd:postern-",
                    link):
            continue
        if own is None or not link.startswith(own):
            strange.append(link)
    check(not strange, f"{role}: no descriptors but its own", strange)


def check_root(role, pid, gw, jailed):
    link = os.readlink(f"/proc/{pid}/root")
    if not jailed or role == "dialer":
        want = link == "/"
    elif role == "queue":
        want = link == os.path.realpath(gw.dir + "/spool")
    else:
        want = link.endswith(" (deleted)") and \
            os.listdir(f"/proc/{pid}/root/") == []
    check(want, f"{role}: its root", link)


def check_free(gw, jailed):
    """What starts commands of others: the user, and nothing they inherit."""
    role, pid = "mda", pid_of(gw, "mda")
    f = fields(pid)
    if jailed:
        check_ids(role, pid, "mail")
    for key in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        check(int(f[key], 16) == 0, f"{role}: {key} is empty", f[key])
    check(f["Seccomp"] == "0" and f["NoNewPrivs"] == "0",
          f"{role}: no filter that a command would inherit", f)
    check(cmdline(pid) == [role], f"{role}: its own program", cmdline(pid))
    if ROOT:
        check(os.stat(f"/proc/{pid}/mem").st_uid == 0,
              f"{role}: not dumpable")
        check_descriptors(role, pid, gw)
        env = proc(pid, "environ").split("\0")
        check(not [e for e in env if e.startswith("HOSTILE")],
              f"{role}: a clean environment", env)


def check_status(gw, jailed):
    rows = gw.json("show", "status")["processes"]
    check_free(gw, jailed)
    for row in rows:
        if row["role"] == "parent":
            continue
        if row["role"] == "mda":
            check(row["sandbox"] == ("uid" if jailed else "none"),
                  f"mda: show status says {row['sandbox']}", row)
            continue
        words = row["sandbox"].split()
        want = ["chroot", "uid"] if jailed else []
        if row["role"] == "dialer":
            want = want[1:]
            check("chroot" not in words, "dialer: keeps the root", row)
        check("seccomp" in words and all(w in words for w in want),
              f"{row['role']}: show status says {row['sandbox']}", row)


def check_proc(user):
    with Gateway(conf(), user=user, env={"HOSTILE": "1"}) as gw:
        for role in ROLES:
            pid = pid_of(gw, role)
            if user:
                check_ids(role, pid, user)
            else:
                check_ids(role, pid, OWNER.get(role, "nobody"),
                          GROUPS.get(role, ()))
            check_process(role, pid, not user)
            check_descriptors(role, pid, gw)
            check_root(role, pid, gw, not user)
        check_status(gw, not user)


# --- what the running role may ask for ---

def probe(pid, number, args):
    p = subprocess.run([PROBE, str(pid), str(number), *map(str, args)],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=DEADLINE)
    if p.returncode != 0:
        return p.stderr.decode().strip()
    return p.stdout.decode().strip()


def pid_of(gw, role):
    """Of one that runs, also while the parent is busy with another."""
    found = []

    def there():
        found[:] = gw.role_pids(role)
        return found
    wait_until(there, f"a {role}")
    return found[0]


def restarted(gw, role, pid, mark, why="sandbox violation", timeout=None):
    """The parent names the death, and another process takes the place."""
    gw.wait_log(rf"parent died process={role} .*pid={pid} .*{why}",
                since=mark, timeout=timeout)

    def there():
        if role == "control" or not gw.role_pids("control"):
            # It answers itself when it is back.
            code, out, _ = gw.ctl("-j", "show", "status")
            if code != 0:
                return False
        else:
            out = gw.ctl("-j", "show", "status", check=0)[1]
        rows = [r for r in json.loads(out)["processes"] if r["role"] == role]
        return any(r["restarts"] == 1 and r["pid"] not in (0, pid) and
                   "seccomp" in r["sandbox"] for r in rows)
    wait_until(there, f"the restart of {role}")
    return True


def refused(gw, who):
    for name, number, args, roles, answers in REFUSED:
        for role in roles:
            got = probe(pid_of(gw, role), number, args)
            check(got in answers, f"{who} {role}: {name}: {got}", got)


def lethal(user, who, part, parts):
    """Each gateway loses each role once: then the parent starts them again
    without delay. Once that is seen; later there is none who would."""
    todo = {role: collections.deque(
        [p for p in FORBIDDEN if role not in p[3]][part::parts])
        for role in ROLES}
    first = part == 0
    while any(todo.values()):
        with Gateway(conf(), user=user) as gw:
            if first:
                refused(gw, who)
            else:
                os.kill(gw.proc.pid, signal.SIGSTOP)
            for role in ROLES:
                if not todo[role]:
                    continue
                name, number, args, _ = todo[role].popleft()
                pid = pid_of(gw, role)
                mark = gw.mark()
                got = probe(pid, number, args)
                check(got == "SIGSYS", f"{who} {role}: {name}: {got}", got)
                if first and got == "SIGSYS":
                    check(restarted(gw, role, pid, mark),
                          f"{who} {role}: named and started again")
        first = False


def threads(who):
    """The filter holds in a thread that was there before it."""
    with Gateway(conf()) as gw:
        pid = pid_of(gw, "queue")
        others = [t for t in os.listdir(f"/proc/{pid}/task") if t != str(pid)]
        check(others, f"{who} queue: has a thread")
        for tid in others[:1]:
            got = probe(tid, 41, (2, 1, 0))
            check(got == "SIGSYS", f"{who} queue: socket in a thread: {got}",
                  got)


def aborts(who):
    """A check of the C library that fails is seen as what it is."""
    with Gateway(conf()) as gw:
        mark = gw.mark()
        pid = pid_of(gw, "smtpd")
        got = probe(pid, 234, (pid, pid, 6))  # tgkill(self, SIGABRT)
        if got == "returned 0":
            gw.wait_log(rf"parent died process=smtpd .*pid={pid} .*SIGABRT",
                        since=mark)
            got = "SIGABRT"
        check(got == "SIGABRT", f"{who} smtpd: abort is SIGABRT", got)


def spins(who):
    """Who computes for ever hears nobody: the kernel ends it (D-20)."""
    with Gateway(conf()) as gw:
        spinning = {}
        for role in ("resolver", "smtpd"):
            mark = gw.mark()
            pid = pid_of(gw, role)
            got = probe(pid, "spin", ())
            check(got == "spins", f"{who} {role}: {got}", got)
            spinning[role] = pid, mark
        for role, (pid, mark) in spinning.items():
            # Its share of the processor may be small.
            check(restarted(gw, role, pid, mark, "SIGPROF", 5 * DEADLINE),
                  f"{who} {role}: ended, and started again")


def as_ordinary_user():
    """What anybody can read; root tries the rest as an ordinary user too."""
    print("skip: only root may trace processes that are not dumpable")
    with Gateway(conf()) as gw:
        for role in ROLES:
            check_kernel(role, pid_of(gw, role))
        check_status(gw, False)


def run():
    if SANITIZED:
        print("skip: sanitizer builds have no sandbox")
        return
    if not ROOT:
        for job in share([as_ordinary_user]):
            job()
        return
    if platform.machine() != "x86_64":
        print("skip: the probe knows x86-64 only")
        return
    # As many as the shares of tests/run begin with what takes longest.
    for job, *args in share([
            (lethal, None, "root", 0, 2), (lethal, "nobody", "user", 0, 2),
            (lethal, None, "root", 1, 2), (lethal, "nobody", "user", 1, 2),
            (check_proc, None), (check_proc, "nobody"), (threads, "root"),
            (spins, "root"), (aborts, "root")]):
        job(*args)


try:
    run()
except Exception:  # the report is the point
    Counts.failed += 1
    print(f"FAIL {traceback.format_exc()}", flush=True)
    for running in list(Gateway.running):
        running.show_log()
finally:
    for running in list(Gateway.running):
        running.kill()
print(f"{Counts.passed} passed, {Counts.failed} failed")
sys.exit(1 if Counts.failed else 0)
