#include "posternd/columns.h"

#include <unistd.h>

int
columns_make(struct gateway *gw, struct fault *why)
{
	int fd = sources_create(gw->conf->smtpd_workers, why);
	struct sources *map = fd == -1 ? NULL : sources_map(fd, 0, why);
	if (map == NULL) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	if (gw->sources != NULL) {
		sources_unmap(&gw->sources);
		close(gw->sources_fd);
	}
	gw->sources = map;
	gw->sources_fd = fd;
	return 0;
}
