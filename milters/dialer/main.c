/* The dialer: connects to the filters' sockets and hands the connections on.
 * It never reads or writes on one. */
#include "lib/proc/child.h"
#include "lib/proc/sandbox.h"

static const struct child_ops ops = {
	.role = ROLE_DIALER,
	.promises = PROMISE_WATCHDOG,
};

int
main(int argc, char **argv)
{
	child_main(argc, argv, &ops);
}
