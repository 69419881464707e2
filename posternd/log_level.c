/* The level of the log while the gateway runs. */
#include "posternd/log_level.h"

#include "lib/base/log.h"
#include "posternd/gateway.h"
#include "posternd/retired.h"
#include "posternd/spawn.h"

void
log_level_change(struct gateway *gw, bool verbose, uint32_t uid)
{
	gw->log_level = verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
	log_set_level(gw->log_level);
	for (size_t i = 0; i < gw->nprocesses; i++)
		spawn_tell_log(&gw->processes[i]);
	retired_tell_log(gw);
	log_info(
	    NULL, "log", "level=%s uid=%u", verbose ? "verbose" : "brief", uid);
}
