#include "delivery/maildir/mdpath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/mail/path.h"

/* --- expanding --- */

static const char *const malformed = "the address makes no path";

static bool
is_safe_value(struct str v)
{
	for (size_t i = 0; i < v.len; i++)
		if ((unsigned char)v.p[i] < 0x20 || v.p[i] == 0x7f ||
		    v.p[i] == '/')
			return false;
	return v.len > 0;
}

/* The value of a name; p is the recipient's address in parts. */
static int
find_value(struct str name, const struct mdpath_values *v, const struct path *p,
    struct str *out)
{
	const struct {
		struct str name, value;
	} all[] = {
		{ STR("rcpt"), v->rcpt },
		{ STR("rcpt.user"), p->local },
		{ STR("rcpt.domain"), p->domain },
		{ STR("sender"), v->sender },
		{ STR("hostname"), v->hostname },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (str_eq(name, all[i].name)) {
			*out = all[i].value;
			return 0;
		}
	return -1;
}

/* Takes one %{name} or the text before the next off *t. */
static int
expand_next(struct str *t, const struct mdpath_values *v, const struct path *p,
    struct buf *out)
{
	struct str value;
	size_t n;

	if (!str_starts_nocase(*t, STR("%{"))) {
		n = 1 + str_find(str_skip(*t, 1), '%');
		buf_add_str(out, str_head(*t, n));
		*t = str_skip(*t, n);
		return 0;
	}
	n = str_find(*t, '}');
	if (n == t->len ||
	    find_value(str_head(str_skip(*t, 2), n - 2), v, p, &value) == -1 ||
	    !is_safe_value(value))
		return -1;
	buf_add_str(out, value);
	*t = str_skip(*t, n + 1);
	return 0;
}

/* No component is "", "." or ".." or too long for a name. */
static bool
are_components_safe(struct str path)
{
	while (path.len > 0) {
		size_t n = str_find(path, '/');
		struct str one = str_head(path, n);

		if (n == 0 || n > MDPATH_NAME_MAX || str_eq(one, STR(".")) ||
		    str_eq(one, STR("..")))
			return false;
		path = str_skip(path, n + 1);
	}
	return true;
}

int
mdpath_expand(struct str template, const struct mdpath_values *v,
    struct buf *out, const char **why)
{
	struct path p;

	*why = malformed;
	if (path_split(v->rcpt, &p) == -1)
		return -1;
	while (template.len > 0 && template.p[0] == '/')
		template = str_skip(template, 1);
	while (template.len > 0 && template.p[template.len - 1] == '/')
		template.len--;
	while (template.len > 0)
		if (expand_next(&template, v, &p, out) == -1)
			return -1;
	if (out->failed || !are_components_safe(buf_str(out)))
		return -1;
	return 0;
}

/* --- opening --- */

int
mdpath_open_one(int dir, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	int fd, tries = 0;

	for (;;) {
		fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
		if (fd == -1 && (errno == ENOSYS || errno == EPERM))
			/* An old kernel, or a container's filter. name is
			 * one component and never "..". */
			fd = openat(dir, name, (int)how.flags);
		if (fd != -1 || errno != ENOENT || tries++ > 0)
			return fd;
		if (mkdirat(dir, name, 0700) == -1) {
			if (errno != EEXIST)
				return -1;
		} else if (fsync(dir) == -1) {
			return -1;
		}
	}
}

int
mdpath_open(int base, const char *path)
{
	char name[MDPATH_NAME_MAX + 1];
	int fd = fcntl(base, F_DUPFD_CLOEXEC, 3), next, saved;

	while (fd != -1 && *path != '\0') {
		size_t n = strcspn(path, "/");

		if (n >= sizeof(name)) {
			(void)close(fd);
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(name, path, n);
		name[n] = '\0';
		path += n + (path[n] == '/');
		next = mdpath_open_one(fd, name);
		saved = errno;
		(void)close(fd);
		errno = saved;
		fd = next;
	}
	return fd;
}
