"""A Debian (machine.py) whose first process is systemd, with control groups
of its own below those of the host."""
import glob
import os
import shutil
import subprocess

from machine import ENV, Machine
from postern import DEADLINE, Skip, children, wait_until

NEEDED = ("setpriv", "pivot_root")
# Until it says that it is up; none does that takes longer.
BOOT_S = 60

# A root that it cannot leave; it writes to nothing that is the kernel's but
# its own control groups. The name of the container has systemd leave the
# hardware alone.
PREPARE = '''
set -e
exec 2>"$1/boot.log"
mount --make-rprivate /
mount --bind "$1" "$1"
mount -t tmpfs -o mode=755 tmpfs "$1/run"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
mount -t tmpfs -o mode=755 tmpfs "$1/dev"
mkdir "$1/dev/pts" "$1/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$1/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
for d in null zero full random urandom tty; do
    : >"$1/dev/$d"
    mount --bind "/dev/$d" "$1/dev/$d"
done
ln -s pts/ptmx "$1/dev/ptmx"
ln -s /proc/self/fd "$1/dev/fd"
mount -t proc proc "$1/proc"
for p in sys sysrq-trigger; do
    [ -e "$1/proc/$p" ] || continue
    mount --bind "$1/proc/$p" "$1/proc/$p"
    mount -o remount,bind,ro "$1/proc/$p"
done
mount -t sysfs -o ro sysfs "$1/sys"
echo 0 >"$2/cgroup.procs"
ip link set lo up
echo box.example.org >"$1/etc/hostname"
exec unshare --cgroup sh -c "$3" sh "$1"
'''
ENTER = '''
set -e
mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
cd "$1"
pivot_root . .
umount -l .
echo up
exec env -i container=other LC_ALL=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio,-syslog \
    /lib/systemd/systemd --system
'''


def _groups():
    """Where control groups of version 2 are, below the one that is ours."""
    with open("/proc/self/cgroup") as f:
        own = [line.rstrip("\n")[3:] for line in f if line.startswith("0::")]
    with open("/proc/mounts") as f:
        mounts = [line.split()[1] for line in f
                  if line.split()[2] == "cgroup2"]
    if not own or not mounts:
        raise Skip("no control groups of version 2 here")
    return mounts[0] + own[0].rstrip("/")


def _make_group():
    """One for all it starts; who was killed has left his."""
    top = _groups()
    for path in glob.glob(f"{top}/postern-test-*"):
        if not os.path.exists(f"/proc/{path.rsplit('-', 1)[1]}"):
            _remove_group(path)
    path = f"{top}/postern-test-{os.getpid()}"
    try:
        os.mkdir(path)
    except OSError as e:
        raise Skip(f"no control group of our own here: {e.strerror}")
    return path


def _remove_group(path):
    for folder, _, _ in os.walk(path, topdown=False):
        os.rmdir(folder)


def _is_populated(path):
    with open(f"{path}/cgroup.events") as f:
        return "populated 1" in f.read()


class Booted(Machine):
    """May be started again, on the same files."""

    def __init__(self, deb):
        for program in NEEDED:
            if shutil.which(program) is None:
                raise Skip(f"no {program} here")
        self.group, self.proc, self.top = None, None, None
        try:
            super().__init__(deb)
            self.forbid_services(False)
        except BaseException:
            self.end()
            raise

    def _prepare(self):
        subprocess.run(
            ["unshare", "--mount", "sh", "-ec",
             'mount -t proc proc "$0/proc"; exec chroot "$0" apt-get install '
             '-y -q --no-install-recommends systemd', self.root], env=ENV,
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT, timeout=3 * DEADLINE)

    def _start(self):
        self.group = _make_group()
        self.proc = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--net",
             "--uts", "--ipc", "--pid", "--fork", "--kill-child", "sh", "-c",
             PREPARE, "sh", self.root, self.group, ENTER],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if self.proc.stdout.readline() != b"up\n":
            raise Skip("no systemd in namespaces of our own here: " +
                       self._complaint())
        self.first = children(self.proc.pid)[0]
        try:
            state = self.run("timeout", str(BOOT_S), "sh", "-c",
                             "until systemctl is-system-running --wait "
                             "2>/dev/null | grep -E 'running|degraded'; do "
                             "sleep 0.2; done", code=None).strip()
        except subprocess.TimeoutExpired:
            state = ""
        if not state:
            raise Skip("systemd does not come up here: " + self._complaint())
        self.state = state

    def _complaint(self):
        with open(self.path("/boot.log"), errors="replace") as f:
            return f.read().strip().split("\n")[-1] or "it says nothing"

    def _inside(self, *argv):
        return ["nsenter", f"--target={self.first}", "--mount", "--net",
                "--uts", "--ipc", "--pid", "--cgroup", *argv]

    def processes(self):
        """Programs that run in it: {pid of the host: path there}."""
        own = os.readlink(f"/proc/{self.first}/ns/pid")
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/ns/pid") == own:
                    found[int(pid)] = os.readlink(f"/proc/{pid}/exe")
            except OSError:
                pass
        return found

    def boot_again(self):
        """Down as an administrator has it, and up again."""
        self.run("systemctl", "--no-block", "poweroff")
        self.proc.wait(DEADLINE)
        self._stop()
        self._start()

    def _stop(self):
        """Now, whatever runs."""
        if self.proc is not None:
            self.proc.kill()
            self.proc.wait()
            self.proc.stdout.close()
            self.proc = None
        if self.group is not None:
            wait_until(lambda: not _is_populated(self.group),
                       "an empty control group")
            _remove_group(self.group)
            self.group = None

    def end(self):
        self._stop()
        if self.top is not None:
            shutil.rmtree(self.top)
            self.top = None

    def __exit__(self, *_):
        self.end()
