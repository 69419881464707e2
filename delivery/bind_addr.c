#include "delivery/bind_addr.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"

/* Of each action by its id: who comes next. */
static uint32_t *turns;
static size_t nturns;

void
bind_addr_set_config(const struct config *c)
{
	free(turns);
	nturns = c->nactions;
	turns = nturns == 0 ? NULL : xcalloc(nturns, sizeof(*turns));
}

int
bind_addr_pick(const struct action *a, const struct addr *to, struct addr *out)
{
	const struct addr *fit[ACTION_SOURCES_MAX];
	size_t n = 0;

	*out = (struct addr){ .family = ADDR_NONE };
	if (a->nsources == 0 || to->family == ADDR_LOCAL)
		return 0;
	for (size_t i = 0; i < a->nsources; i++)
		if (a->sources[i].family == to->family)
			fit[n++] = &a->sources[i];
	if (n == 0)
		return -1;
	*out = *fit[n > 1 && a->id < nturns ? turns[a->id]++ % n : 0];
	return 0;
}

int
bind_addr_bind(int fd, const struct addr *source, struct fault *why)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(source, 0, &ss);
	char text[ADDR_TEXT_MAX];
	int on = 1, error;

	/* The port is found by connect(), which knows where to: as many
	 * connections as there are ports to each next hop, not in all. */
	(void)setsockopt(
	    fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (len > 0 && bind(fd, (const struct sockaddr *)&ss, len) == 0)
		return 0;
	error = len > 0 ? errno : EAFNOSUPPORT;
	addr_format(source, text);
	log_warn(NULL, "source", "address=%s why=%s", log_cstr(text),
	    log_cstr(strerror(error)));
	return fault_set(why, FAULT_OURS,
	    "cannot connect from the source address %s: %s", text,
	    strerror(error));
}
