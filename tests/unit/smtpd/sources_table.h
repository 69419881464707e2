/* A table of networks, as the configuration would have it. */
#ifndef POSTERN_TESTS_SOURCES_TABLE_H
#define POSTERN_TESTS_SOURCES_TABLE_H

#include <stdlib.h>

#include "lib/rules/table.h"

/* Of this one network; belongs to the caller. */
static inline struct table *
sources_table(const char *net)
{
	struct table_builder *b = table_builder_new("sources");
	struct fault why;
	struct table *t;
	int fd;

	if (table_builder_add(b, str_of(net), NULL, &why) < 0)
		abort();
	fd = table_builder_seal(&b, &why);
	t = fd < 0 ? NULL : table_open(fd, "sources", &why);
	if (t == NULL)
		abort();
	return t;
}

#endif
