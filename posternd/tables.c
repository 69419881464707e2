/* Table entries from lists and files, and what each may be used for. */
#include "posternd/tables.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/utf8.h"
#include "lib/rules/table_image.h"
#include "posternd/table_uses.h"

enum {
	KEY_BYTES_MAX = 1024,
	LINE_BYTES_MAX = 8192, /* of a table file */
	READ_BYTES = 65536
};

struct conf_table *
conf_table_new(const char *name)
{
	struct conf_table *t = xcalloc(1, sizeof(*t));

	t->name = xstrdup(name);
	t->builder = table_builder_new(name);
	t->digest = TABLE_HASH_INIT;
	return t;
}

void
conf_table_free(struct conf_table **tp)
{
	struct conf_table *t = *tp;
	size_t i;
	int fd;

	*tp = NULL;
	if (t == NULL)
		return;
	if (t->builder != NULL) {
		/* Sealing is how a builder ends. */
		fd = table_builder_seal(&t->builder, NULL);
		if (fd != -1)
			close(fd);
	}
	for (i = 0; i < TABLE_USES; i++)
		free(t->unfit[i]);
	free(t->entries);
	free(t->name);
	free(t);
}

static void
note_unfit(struct conf_table *t, enum table_use use, struct str key,
    const char *file, uint32_t line)
{
	char text[512];

	/* Of `user:hash' in one word the user alone is shown. */
	if (table_use_is_secret(use) || use == TABLE_FOR_SENDERS)
		key = str_head(key, str_find(key, ':'));
	snprintf(text, sizeof(text), "`%.*s' (%s:%u) is not %s",
	    (int)(key.len > 100 ? 100 : key.len), key.p, file, line,
	    table_use_what(use));
	t->unfit[use] = xstrdup(text);
}

/* What a hash begins with, and what may stand before it: luke:$6$... */
static bool
begins_hash(struct str s)
{
	static const char *const begins[] = { "$y$", "$6$", "$5$", "$2a$",
		"$2b$", "$2y$", "$1$", "{SCRAM-" };

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (str_starts_nocase(s, str_of(begins[i])))
			return true;
	return false;
}

size_t
conf_hash_at(struct str s)
{
	for (size_t at = 0; at < s.len; at++)
		if ((at == 0 || strchr(":=!}", s.p[at - 1]) != NULL) &&
		    begins_hash(str_skip(s, at)))
			return at;
	return s.len;
}

static int
add_entry(struct conf_table *t, struct str key, const char *value,
    const char *file, uint32_t line, struct fault *why)
{
	size_t hash = conf_hash_at(key);
	struct addr_net net;
	unsigned int use;

	/* It would be seen by everybody who has the keys. */
	if (hash < key.len)
		return fault_set(why, FAULT_PERM,
		    "`%.*s...': a key with the hash of a password in it",
		    (int)(hash > 100 ? 100 : hash), key.p);
	if (table_builder_add(t->builder, key, value, why) == -1)
		return -1;
	for (use = 0; use < TABLE_USES; use++)
		if (t->unfit[use] == NULL &&
		    !table_use_fits((enum table_use)use, key, value))
			note_unfit(t, (enum table_use)use, key, file, line);
	if (addr_net_parse(key, &net) == 0 && net.bits == 0)
		t->everywhere = true;
	t->scram |= table_value_is_scram(value);
	t->digest = table_hash_add(table_hash_add(t->digest, key), STR("\n"));
	return 0;
}

/* Copies and forgets: it may be a password's hash. */
static void
free_secret(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

int
conf_table_add(struct conf_table *t, struct str key, const char *value,
    const char *file, uint32_t line, struct fault *why)
{
	struct buf ascii;
	char *words;
	int r;

	/* Names in other scripts are compared as A-labels (RFC 5890); as it
	 * is written it may be the name of a user. */
	words = table_words_to_ascii(value);
	if (words != NULL)
		value = words;
	r = add_entry(t, key, value, file, line, why);
	buf_init(&ascii, KEY_BYTES_MAX);
	if (r == 0 && table_key_to_ascii(key, &ascii))
		r = table_builder_add(t->builder, buf_str(&ascii), value, why);
	buf_clear(&ascii);
	free_secret(words);
	return r;
}

int
conf_file_open(const char *path, struct fault *why)
{
	/* Not to wait for somebody to open the other end of a FIFO. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd == -1)
		return fault_errno(why, FAULT_PERM, "cannot open %s", path);
	if (fstat(fd, &st) == -1 || fcntl(fd, F_SETFL, 0) == -1)
		fault_errno(why, FAULT_PERM, "cannot read %s", path);
	else if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
		fault_set(why, FAULT_PERM, "%s is not a file", path);
	else if (S_ISREG(st.st_mode) && (st.st_mode & S_IWOTH))
		fault_set(why, FAULT_PERM, "%s is writable by everybody", path);
	else
		return fd;
	close(fd);
	return -1;
}

/* --- files, line by line --- */

struct reader {
	struct conf_table *table;
	const char *path;
	uint32_t line;
	table_error_fn *on_error;
	void *ctx;
	char text[LINE_BYTES_MAX];
	size_t len;
	bool too_long; /* the rest of this line is skipped */
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void
bad_line(struct reader *r, const char *what)
{
	r->on_error(r->ctx, r->path, r->line, what);
}

static void
add_line(struct reader *r, struct str line)
{
	struct fault why;
	struct str value;
	size_t n = 0;
	char *text;

	while (n < line.len && !is_blank(line.p[n]))
		n++;
	value = str_trim(str_skip(line, n));
	if (value.len > 0 && value.p[0] == '#')
		value = str_of(NULL);
	text = value.len > 0 ? str_dup(value) : NULL;
	if (conf_table_add(r->table, str_head(line, n), text, r->path, r->line,
		&why) == -1)
		bad_line(r, why.text);
	free_secret(text);
}

static void
end_line(struct reader *r)
{
	struct str line = { r->text, r->len };

	r->line++;
	if (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	if (r->line == 1 && str_starts_nocase(line, CONF_BOM))
		line = str_skip(line, CONF_BOM.len);
	line = str_trim(line);
	if (r->too_long)
		bad_line(r, "line too long");
	else if (memchr(line.p, '\0', line.len) != NULL)
		bad_line(r, "NUL byte");
	else if (!utf8_is_valid(line))
		bad_line(r, "not UTF-8");
	else if (line.len > 0 && line.p[0] != '#')
		add_line(r, line);
	r->len = 0;
	r->too_long = false;
}

/* The bytes of one read, cut into lines. */
static void
add_bytes(struct reader *r, struct str in)
{
	while (in.len > 0) {
		size_t n = str_find(in, '\n');

		if (n > sizeof(r->text) - r->len) {
			r->too_long = true;
		} else {
			memcpy(r->text + r->len, in.p, n);
			r->len += n;
		}
		if (n == in.len)
			return;
		end_line(r);
		in = str_skip(in, n + 1);
	}
}

void
conf_table_read(
    struct conf_table *t, const char *path, table_error_fn *on_error, void *ctx)
{
	struct reader *r;
	struct fault why;
	struct stat st;
	char *bytes;
	ssize_t n;
	int fd;

	if ((fd = conf_file_open(path, &why)) == -1) {
		on_error(ctx, path, 0, why.text);
		return;
	}
	t->readable = fstat(fd, &st) == 0 && (st.st_mode & S_IROTH) != 0;
	r = xcalloc(1, sizeof(*r));
	*r = (struct reader){
		.table = t, .path = path, .on_error = on_error, .ctx = ctx
	};
	bytes = xmalloc(READ_BYTES);
	while ((n = read(fd, bytes, READ_BYTES)) > 0 ||
	       (n == -1 && errno == EINTR))
		if (n > 0)
			add_bytes(r, (struct str){ bytes, (size_t)n });
	if (n == -1) {
		fault_errno(&why, FAULT_OURS, "cannot read %s", path);
		on_error(ctx, path, 0, why.text);
	}
	if (r->len > 0 || r->too_long)
		end_line(r);
	explicit_bzero(bytes, READ_BYTES);
	free(bytes);
	explicit_bzero(r, sizeof(*r));
	free(r);
	close(fd);
}

int
conf_table_seal(struct conf_table *t, int *fd, struct fault *why)
{
	int mapped;

	*fd = table_builder_seal(&t->builder, why);
	if (*fd == -1)
		return -1;
	mapped = fcntl(*fd, F_DUPFD_CLOEXEC, 0);
	if (mapped == -1)
		fault_errno(why, FAULT_OURS, "table %s", t->name);
	else
		t->table = table_open(mapped, t->name, why);
	if (t->table == NULL) {
		close(*fd);
		*fd = -1;
		return -1;
	}
	return 0;
}

static bool
add_key(void *builder, struct str key, struct str value)
{
	(void)value;
	return table_builder_add(builder, key, NULL, NULL) == -1;
}

int
conf_table_hide(struct conf_table *t, int *fd, struct fault *why)
{
	struct table_builder *b = table_builder_new(t->name);
	bool failed = table_any(t->table, add_key, b);
	int mapped;

	*fd = table_builder_seal(&b, why);
	if (*fd == -1)
		return -1;
	mapped = fcntl(*fd, F_DUPFD_CLOEXEC, 0);
	if (failed || mapped == -1)
		fault_errno(why, FAULT_OURS, "table %s", t->name);
	else if (table_replace(t->table, mapped, why) == 0)
		return 0;
	close(*fd);
	*fd = -1;
	return -1;
}
