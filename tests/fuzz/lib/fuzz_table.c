/* The image of a table, as a child gets it: refused, or safe to ask. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/rules/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned int seen; /* so that the reading is not left out */

/* Reads what was found. */
static unsigned int
touch(bool found, struct str v)
{
	unsigned int sum = 0;

	for (size_t i = 0; found && i < v.len; i++)
		sum += (unsigned char)v.p[i];
	return sum;
}

static unsigned int
ask(const struct table *t)
{
	static const char *const addrs[] = { "10.1.2.3", "2001:db8::1", "::1",
		"255.255.255.255" };
	struct str v = { NULL, 0 };
	unsigned int sum = 0;
	struct addr a;

	sum += touch(table_find_domain(t, STR("a.b.example.com"), &v), v);
	sum +=
	    touch(table_find_address(t, STR("joe"), STR("example.com"), &v), v);
	sum += touch(table_find_address(t, STR(""), STR(""), &v), v);
	for (size_t i = 0; i < sizeof(addrs) / sizeof(addrs[0]); i++) {
		addr_parse(str_of(addrs[i]), &a);
		sum += touch(table_find_source(t, &a, &v), v);
	}
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct table *t;
	int fd;

	fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd == -1 || write(fd, data, size) != (ssize_t)size)
		abort();
	fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
	t = table_open(fd, "fuzz", NULL);
	if (t != NULL)
		seen = ask(t);
	table_free(&t);
	return 0;
}
