#!/usr/bin/python3
"""Ten thousand idle sessions: what each costs above an idle worker."""
import resource
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

CONF = '''
action drop discard
match for domain { "example.net" } action drop
limit connections 20000
limit connections-per-source 20000
limit rate-per-source 1000000/1m
workers smtpd 1 delivery 1
'''
WANT = int(os.environ.get("POSTERN_IDLE", "10000"))
BUDGET = 6 * 1024


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return int(re.search(r"(?m)^Pss:\s+(\d+)", f.read()).group(1)) * 1024


@test
def memory_of_idle_sessions():
    if SANITIZED:
        raise Skip("a sanitizer's memory is not ours")
    if not ROOT:
        raise Skip("the roles are not dumpable: only root sees their memory")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = WANT + 1000
    if hard < need:
        if not ROOT:
            raise Skip(f"only {hard} descriptors")
        hard = need
    resource.setrlimit(resource.RLIMIT_NOFILE, (need, max(hard, need)))
    with Gateway(CONF) as gw:
        worker = gw.role_pids("smtpd")[0]
        gw.client(helo="warm.example").close()
        before = pss(worker)
        clients = []
        for i in range(WANT):
            # Sources differ, so that ports do not run out.
            c = Client(gw.address, gw.port, source=own_address(2 + i % 5),
                       greet=False)
            clients.append(c)
            equal(c.reply()[0], 220, f"session {i}")
            equal(c.cmd("EHLO client.example")[0], 250, f"session {i}")
        each = (pss(worker) - before) / WANT
        print(f"  {WANT} idle sessions: {each:.0f} bytes PSS each "
              f"(idle worker {before // 1024} KiB)")
        assert each <= BUDGET, f"{each:.0f} bytes, the budget is {BUDGET}"
        # The gateway is still quick to answer.
        gw.client(helo="one.example").want("NOOP", 250)
        clients[0].want("NOOP", 250)
        for c in clients:
            c.close()
        wait_until(lambda: gw.stats()["smtpd.sessions"] <= 1, "their end")


main()
