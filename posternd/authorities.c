#include "posternd/authorities.h"

#include <fcntl.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "posternd/gateway.h"
#include "posternd/tables.h"

/* That there are none is to be told, too: who was told of some trusts them. */
static int
nobody(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Who named one has been told when it could not be read; it may have gone
 * since. */
void
authorities_open(struct gateway *gw)
{
	const char *named = gw->conf->ca_path;
	struct fault why;

	if (gw->authorities != -1)
		close(gw->authorities);
	gw->authorities = -1;
	if (named == NULL && access(AUTHORITIES_PATH, F_OK) == -1) {
		gw->authorities = nobody();
		return;
	}
	gw->authorities =
	    conf_file_open(named != NULL ? named : AUTHORITIES_PATH, &why);
	if (gw->authorities == -1)
		log_warn(NULL, "authorities", "why=%s", log_cstr(why.text));
}
