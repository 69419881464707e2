/*
 * milter-rules: a filter for any MTA that speaks the milter protocol. Adds,
 * removes and checks headers, senders, recipients and attachments by a file
 * of rules. It is no part of the gateway's processes: it may do what its user
 * may, reads its rule file and syslog alone, and when it dies the MTA decides
 * by what is set for a filter that fails.
 */
#include "milters/common/filter.h"
#include "milters/rules/callbacks.h"

int
main(int argc, char **argv)
{
	static const struct filter filter = {
		.name = "milter-rules",
		.file = POSTERN_SYSCONF "/rules.conf",
		.desc = &callbacks_desc,
		.load = callbacks_load,
	};

	return filter_main(&filter, argc, argv);
}
