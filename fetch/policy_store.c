#include "fetch/policy_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fetch/policy_text.h"
#include "lib/base/buf.h"
#include "lib/base/crc32c.h"
#include "lib/base/log.h"
#include "lib/mail/path.h"

enum { FILE_SIZE_MAX = 8192, FILE_NAME_MAX = 253, CRC_LINE = 13 };

/* The first line: a later format has another number. */
static const char format[] = "postern-sts 1";
/* No domain begins with a dot. */
static const char unfinished[] = ".new";

static int dir = -1;

void
policy_store_init(int d)
{
	if (dir >= 0)
		close(dir);
	dir = d;
}

static void
complain(const char *domain, const char *why)
{
	log_warn(NULL, "sts-store", "domain=%s why=%s", log_cstr(domain),
	    log_cstr(why));
}

/* A domain in lower case, and so a file's name that leads nowhere else. */
static bool
is_name(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] != chr_lower(s.p[i]) || s.p[i] == '/')
			return false;
	return s.len <= FILE_NAME_MAX && s.p[0] != '.' &&
	       path_is_domain(s, false);
}

/* --- writing --- */

static void
write_text(const struct stored_policy *p, struct buf *out)
{
	buf_addf(out,
	    "%s\ndomain=%.*s\nid=%.*s\nfetched=%llu\nmax-age=%u\nmode=%s\n"
	    "mx=%.*s\n",
	    format, (int)p->domain.len, p->domain.p, (int)p->id.len, p->id.p,
	    (unsigned long long)p->fetched_s, p->max_age_s,
	    sts_mode_name(p->mode), (int)p->mxs.len, p->mxs.p);
	buf_addf(out, "crc=%08x\n", crc32c(0, out->p, out->len));
}

/* Errno tells why it did not go. */
static int
write_file(const char *name, struct str text)
{
	int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dir, unfinished, flags, 0600);
	ssize_t n;

	if (fd == -1)
		return -1;
	errno = ENOSPC; /* of a short write */
	n = write(fd, text.p, text.len);
	if (close(fd) == -1 || n != (ssize_t)text.len ||
	    renameat(dir, unfinished, dir, name) == -1) {
		int why = errno;

		(void)unlinkat(dir, unfinished, 0);
		errno = why;
		return -1;
	}
	return 0;
}

int
policy_store_put(const struct stored_policy *p)
{
	struct buf text;
	char *name;
	int rc = -1;

	if (dir == -1 || !is_name(p->domain))
		return -1;
	name = str_dup(p->domain);
	buf_init(&text, FILE_SIZE_MAX);
	write_text(p, &text);
	if (text.failed)
		complain(name, "it is too large");
	else if ((rc = write_file(name, buf_str(&text))) == -1)
		complain(name, strerror(errno));
	buf_clear(&text);
	free(name);
	return rc;
}

void
policy_store_del(struct str domain)
{
	char *name;

	if (dir == -1 || !is_name(domain))
		return;
	name = str_dup(domain);
	if (unlinkat(dir, name, 0) == -1 && errno != ENOENT)
		complain(name, strerror(errno));
	free(name);
}

/* --- reading --- */

/* The value of the next line, which must be of that key. */
static int
cut_value(struct str *text, const char *key, struct str *value)
{
	*value = str_cut(text, '\n');
	if (!str_eq(str_cut(value, '='), str_of(key)))
		return -1;
	return 0;
}

static int
cut_number(struct str *text, const char *key, uint64_t max, uint64_t *n)
{
	struct str value;

	if (cut_value(text, key, &value) == -1)
		return -1;
	return str_to_u64(value, max, n);
}

/* The last line: over all that stands before it. */
static bool
has_crc(struct str text)
{
	char line[CRC_LINE + 1];
	size_t len;

	if (text.len < CRC_LINE)
		return false;
	len = text.len - CRC_LINE;
	snprintf(line, sizeof(line), "crc=%08x\n", crc32c(0, text.p, len));
	return memcmp(text.p + len, line, CRC_LINE) == 0;
}

static int
parse(struct str text, struct stored_policy *p)
{
	struct str mode;
	uint64_t max_age;
	int m;

	if (!has_crc(text) || !str_eq(str_cut(&text, '\n'), str_of(format)) ||
	    cut_value(&text, "domain", &p->domain) == -1 ||
	    cut_value(&text, "id", &p->id) == -1 ||
	    cut_number(&text, "fetched", UINT64_MAX / 1000, &p->fetched_s) ==
		-1 ||
	    cut_number(&text, "max-age", POLICY_AGE_MAX_S, &max_age) == -1 ||
	    cut_value(&text, "mode", &mode) == -1 ||
	    cut_value(&text, "mx", &p->mxs) == -1)
		return -1;
	m = sts_mode_find(mode);
	if (m == -1 || p->id.len > STS_ID_MAX || p->mxs.len > STS_MXS_MAX)
		return -1;
	p->mode = (enum sts_mode)m;
	p->max_age_s = (uint32_t)max_age;
	return 0;
}

/* Into text, of FILE_SIZE_MAX bytes. */
static int
read_file(const char *name, char *text, size_t *len)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;

	if (fd == -1)
		return -1;
	n = read(fd, text, FILE_SIZE_MAX);
	close(fd);
	if (n == -1)
		return -1;
	*len = (size_t)n;
	return 0;
}

static void
load_one(const char *name, void (*fn)(void *ctx, const struct stored_policy *p),
    void *ctx)
{
	struct stored_policy p;
	char text[FILE_SIZE_MAX];
	size_t len;

	if (is_name(str_of(name)) && read_file(name, text, &len) == 0 &&
	    parse((struct str){ text, len }, &p) == 0 &&
	    str_eq(p.domain, str_of(name))) {
		fn(ctx, &p);
		return;
	}
	if (strcmp(name, unfinished) != 0)
		complain(name, "no whole policy: it is removed");
	(void)unlinkat(dir, name, 0);
}

void
policy_store_load(
    void (*fn)(void *ctx, const struct stored_policy *p), void *ctx)
{
	const struct dirent *e;
	DIR *d;
	int fd;

	if (dir == -1)
		return;
	fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || (d = fdopendir(fd)) == NULL) {
		complain(".", strerror(errno));
		if (fd != -1)
			close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			load_one(e->d_name, fn, ctx);
	closedir(d);
}
