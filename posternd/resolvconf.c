#include "posternd/resolvconf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/rules/hop.h"
#include "posternd/conf_value.h"

enum { TIMEOUT_MAX_S = 30 };

struct reader {
	const char *path;
	uint32_t line;
	struct conf_errors *messages;
	struct server servers[RESOLVCONF_SERVERS_MAX];
	size_t n;
	uint64_t timeout_ms;
	bool trust_ad;
};

static void
warn(const struct reader *r, const char *what)
{
	conf_add_warning(
	    r->messages, "%s:%u: warning: %s", r->path, r->line, what);
}

/* The next word of a line, which is cut off. */
static struct str
take_word(struct str *line)
{
	struct str word;
	size_t n = 0;
	*line = str_trim(*line);
	while (n < line->len && line->p[n] != ' ' && line->p[n] != '\t')
		n++;
	word = str_head(*line, n);
	*line = str_skip(*line, n);
	return word;
}

static void
on_nameserver(struct reader *r, struct str rest)
{
	struct server s = { .port = SERVER_PORT };
	if (conf_parse_address(take_word(&rest), &s.addr) == -1 ||
	    hop_is_unusable(&s.addr)) {
		warn(r, "not the address of a name server");
		return;
	}
	for (size_t i = 0; i < r->n; i++)
		if (addr_eq(&r->servers[i].addr, &s.addr))
			return;
	if (r->n < RESOLVCONF_SERVERS_MAX)
		r->servers[r->n++] = s;
}

static void
on_option(struct reader *r, struct str option)
{
	const struct str timeout = STR("timeout:");
	uint64_t s;
	if (str_eq(option, STR("trust-ad"))) {
		r->trust_ad = true;
		return;
	}
	if (!str_eq(str_head(option, timeout.len), timeout))
		return;
	if (str_to_u64(str_skip(option, timeout.len), UINT64_MAX, &s) == -1 ||
	    s == 0)
		warn(r, "not a timeout");
	else
		r->timeout_ms = 1000 * (s > TIMEOUT_MAX_S ? TIMEOUT_MAX_S : s);
}

static void
on_options(struct reader *r, struct str rest)
{
	struct str option;
	while ((option = take_word(&rest)).len > 0)
		on_option(r, option);
}

static void
ignore(struct reader *r, struct str rest)
{
	(void)r;
	(void)rest;
}

static const struct {
	const char *word;
	void (*fn)(struct reader *r, struct str rest);
} keywords[] = {
	{ "nameserver", on_nameserver },
	{ "options", on_options },
	/* Never applied to mail domains. */
	{ "search", ignore },
	{ "domain", ignore },
	{ "sortlist", ignore },
};

static void
on_line(struct reader *r, struct str line)
{
	struct str word;
	r->line++;
	if (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	word = take_word(&line);
	if (word.len == 0 || word.p[0] == '#' || word.p[0] == ';')
		return;
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (str_eq(str_of(keywords[i].word), word)) {
			keywords[i].fn(r, line);
			return;
		}
	warn(r, "not understood, left out");
}

/* As much of it as fits bytes. -1 with errno. */
static int
read_file(
    const char *path, char bytes[static RESOLVCONF_BYTES_MAX], size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n;
	*len = 0;
	if (fd == -1)
		return -1;
	while ((n = read(fd, bytes + *len, RESOLVCONF_BYTES_MAX - *len)) != 0) {
		if (n > 0)
			*len += (size_t)n;
		else if (errno != EINTR)
			break;
	}
	int error = errno;
	close(fd);
	errno = error;
	return n == 0 ? 0 : -1;
}

static void
read_lines(struct reader *r, struct str text)
{
	bool whole = text.len < RESOLVCONF_BYTES_MAX;
	while (text.len > 0) {
		size_t n = str_find(text, '\n');
		/* Half a line could name another server than the whole. */
		if (n == text.len && !whole) {
			r->line++;
			warn(r, "the file is too long, the rest is left out");
			return;
		}
		on_line(r, str_head(text, n));
		text = str_skip(text, n + 1);
	}
}

void
resolvconf_read(
    const char *path, struct config *c, struct conf_errors *messages)
{
	struct reader r = { .path = path,
		.messages = messages,
		.timeout_ms = SERVER_TIMEOUT_MS };
	char *bytes = xmalloc(RESOLVCONF_BYTES_MAX);
	struct str text = { bytes, 0 };
	if (read_file(path, bytes, &text.len) == 0)
		read_lines(&r, text);
	else
		conf_add_warning(
		    messages, "%s: warning: %s", path, strerror(errno));
	free(bytes);
	for (size_t i = 0; i < r.n && c->nservers < CONFIG_SERVERS_MAX; i++) {
		r.servers[i].timeout_ms = r.timeout_ms;
		r.servers[i].trust_ad = r.trust_ad;
		c->servers[c->nservers++] = r.servers[i];
	}
}
