#include "posternd/inherited.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"

static struct inherited *list;
static size_t n;

void
inherited_add(const struct inherited *i)
{
	list = xreallocarray(list, n + 1, sizeof(*list));
	list[n] = *i;
	list[n++].path = i->path == NULL ? NULL : xstrdup(i->path);
}

/* Somebody may have removed the name of a Unix socket: nobody can connect to
 * what has none. */
static bool
is_named(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* From now on it is another socket's. */
static void
forget_name(struct inherited *i)
{
	free((void *)(uintptr_t)i->path);
	i->path = NULL;
}

static void
remove_name(struct inherited *i)
{
	if (i->path != NULL)
		unlink(i->path);
	forget_name(i);
}

static bool
is_it(const struct inherited *i, enum inherited_kind kind, const struct addr *a,
    uint16_t port, const char *path)
{
	if (i->fd == -1 || i->kind != kind ||
	    (i->path == NULL) != (path == NULL))
		return false;
	if (path != NULL)
		return strcmp(i->path, path) == 0;
	return addr_eq(&i->addr, a) && i->port == port;
}

size_t
inherited_take(enum inherited_kind kind, const struct addr *a, uint16_t port,
    const char *path, int **fds)
{
	size_t found = 0;
	*fds = NULL;
	for (size_t i = 0; i < n; i++) {
		if (!is_it(&list[i], kind, a, port, path))
			continue;
		if (path != NULL && !is_named(path)) {
			forget_name(&list[i]);
			continue;
		}
		*fds = xreallocarray(*fds, found + 1, sizeof(int));
		(*fds)[found++] = list[i].fd;
		list[i].fd = -1;
	}
	return found;
}

size_t
inherited_take_rest(bool smtps, int **fds)
{
	size_t found = 0;
	*fds = NULL;
	for (size_t i = 0; i < n; i++) {
		if (list[i].fd == -1 || list[i].smtps != smtps ||
		    (list[i].kind != INHERITED_LISTEN &&
			list[i].kind != INHERITED_SUBMIT))
			continue;
		remove_name(&list[i]);
		*fds = xreallocarray(*fds, found + 1, sizeof(int));
		(*fds)[found++] = list[i].fd;
		list[i].fd = -1;
	}
	return found;
}

void
inherited_close(bool remove)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].fd != -1) {
			close(list[i].fd);
			if (remove)
				remove_name(&list[i]);
		}
		forget_name(&list[i]);
	}
	free(list);
	list = NULL;
	n = 0;
}
