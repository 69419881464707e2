#include "posternd/handover.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"

enum {
	TEXT_MAX = 1 << 20,
	OOM_MAX = 1000, /* the kernel's */
	SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE
};

static const char magic[] = "postern-handover 1";

static const char *const kinds[INHERITED_KINDS] = {
	[INHERITED_LISTEN] = "listen",
	[INHERITED_SUBMIT] = "submit",
	[INHERITED_CONTROL] = "control",
	[INHERITED_HTTP] = "http",
};

/* --- written --- */

static void
format_socket(const struct inherited *i, struct buf *out)
{
	char text[ADDR_TEXT_MAX];
	/* A path is the rest of its line. */
	if (i->path != NULL && strchr(i->path, '\n') != NULL)
		return;
	buf_addf(out, "%s %d ", kinds[i->kind], i->fd);
	if (i->path != NULL)
		buf_addf(out, "%s\n", i->path);
	else
		buf_addf(out, "%s %u%s\n", addr_format(&i->addr, text), i->port,
		    i->smtps ? " smtps" : "");
}

static void
format_process(const struct handed_process *p, struct buf *out)
{
	buf_addf(out, "process %s %u %llu %u %d %llu %llu %d %d %u\n",
	    role_name(p->role), p->instance, (unsigned long long)p->edges,
	    p->generation, (int)p->pid, (unsigned long long)p->started_ms,
	    (unsigned long long)p->until_ms, p->parent + 1, p->queue + 1,
	    p->number);
}

void
handover_format(const struct handover *h, struct buf *out)
{
	buf_addf(out, "%s\npid %d\nstarted %llu\nrestarts %u\n", magic,
	    (int)h->pid, (unsigned long long)h->started_ms, h->restarts);
	buf_addf(out, "log-level %u\n", h->log_level);
	if (h->log_fd != -1)
		buf_addf(out, "log %d %d %d%s\n", h->log_fd,
		    h->log_sink == LOG_SINK_SYSLOG, (int)h->log_json,
		    h->log_sink == LOG_SINK_JOURNAL ? " journal" : "");
	if (h->oom_others != -1)
		buf_addf(out, "oom-others %d\n", h->oom_others);
	buf_add_str(out, STR("tickets "));
	for (size_t i = 0; i < h->ntickets; i++)
		buf_addf(out, "%02x", h->tickets[i]);
	buf_add_char(out, '\n');
	for (size_t i = 0; i < h->nsockets; i++)
		format_socket(&h->sockets[i], out);
	for (size_t i = 0; i < h->nprocesses; i++)
		format_process(&h->processes[i], out);
	buf_add_str(out, STR("end\n"));
}

/* --- read --- */

/* One line, behind its keyword. */
struct line {
	struct str rest;
	bool bad;
};

static uint64_t
number(struct line *l, uint64_t max)
{
	uint64_t n = 0;
	if (str_to_u64(str_cut(&l->rest, ' '), max, &n) == -1)
		l->bad = true;
	return n;
}

/* Is it among the words that are left? Those of a later build mean nothing. */
static bool
has_word(struct str rest, struct str word)
{
	while (rest.len > 0)
		if (str_eq(str_cut(&rest, ' '), word))
			return true;
	return false;
}

static void
read_pid(struct handover *h, struct line *l)
{
	h->pid = (pid_t)number(l, INT32_MAX);
}

static void
read_started(struct handover *h, struct line *l)
{
	h->started_ms = number(l, UINT64_MAX);
}

static void
read_restarts(struct handover *h, struct line *l)
{
	h->restarts = (uint32_t)number(l, UINT32_MAX);
}

static void
read_log_level(struct handover *h, struct line *l)
{
	h->log_level = (unsigned int)number(l, 2);
}

static void
read_log(struct handover *h, struct line *l)
{
	h->log_fd = (int)number(l, INT32_MAX);
	h->log_sink = number(l, 1) != 0 ? LOG_SINK_SYSLOG : LOG_SINK_STREAM;
	h->log_json = number(l, 1) != 0;
	if (has_word(l->rest, STR("journal")))
		h->log_sink = LOG_SINK_JOURNAL;
}

static void
read_oom_others(struct handover *h, struct line *l)
{
	h->oom_others = (int)number(l, OOM_MAX);
}

static int
nibble(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c == '\0' ? NULL : strchr(digits, c);
	return at == NULL ? -1 : (int)(at - digits);
}

static void
read_tickets(struct handover *h, struct line *l)
{
	size_t n = l->rest.len / 2;
	if (l->rest.len % 2 != 0 || n > TICKETS_SIZE ||
	    n % TICKET_KEY_SIZE != 0) {
		l->bad = true;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		int high = nibble(l->rest.p[2 * i]);
		int low = nibble(l->rest.p[2 * i + 1]);
		if (high == -1 || low == -1) {
			l->bad = true;
			return;
		}
		h->tickets[i] = (uint8_t)(high << 4 | low);
	}
	h->ntickets = n;
}

static void
read_socket(struct handover *h, struct line *l, enum inherited_kind kind)
{
	struct inherited i = { .kind = kind, .fd = (int)number(l, INT32_MAX) };
	if (kind == INHERITED_SUBMIT || kind == INHERITED_CONTROL) {
		if (l->rest.len == 0 || str_find(l->rest, '\0') < l->rest.len)
			l->bad = true;
		else
			i.path = str_dup(l->rest);
	} else {
		if (addr_parse(str_cut(&l->rest, ' '), &i.addr) == -1)
			l->bad = true;
		i.port = (uint16_t)number(l, UINT16_MAX);
		i.smtps = has_word(l->rest, STR("smtps"));
	}
	if (h->nsockets == HANDOVER_MAX)
		l->bad = true;
	if (l->bad) {
		free((void *)(uintptr_t)i.path);
		return;
	}
	h->sockets =
	    xreallocarray(h->sockets, h->nsockets + 1, sizeof(*h->sockets));
	h->sockets[h->nsockets++] = i;
}

static void
read_process(struct handover *h, struct line *l)
{
	struct handed_process p = { 0 };
	char *name = str_dup(str_cut(&l->rest, ' '));
	int role = role_find(name);
	free(name);
	p.role = (enum role)role;
	p.instance = (uint16_t)number(l, UINT16_MAX);
	p.edges = number(l, UINT64_MAX);
	p.generation = (uint32_t)number(l, UINT32_MAX);
	p.pid = (pid_t)number(l, INT32_MAX);
	p.started_ms = number(l, UINT64_MAX);
	p.until_ms = number(l, UINT64_MAX);
	p.parent = (int)number(l, INT32_MAX) - 1;
	p.queue = (int)number(l, INT32_MAX) - 1;
	p.number = (uint32_t)number(l, UINT32_MAX);
	if (role == -1 || p.pid <= 1 || h->nprocesses == HANDOVER_MAX)
		l->bad = true;
	if (l->bad)
		return;
	h->processes = xreallocarray(
	    h->processes, h->nprocesses + 1, sizeof(*h->processes));
	h->processes[h->nprocesses++] = p;
}

static const struct {
	const char *name;
	void (*read)(struct handover *h, struct line *l);
} words[] = {
	{ "pid", read_pid },
	{ "started", read_started },
	{ "restarts", read_restarts },
	{ "log-level", read_log_level },
	{ "log", read_log },
	{ "oom-others", read_oom_others },
	{ "tickets", read_tickets },
	{ "process", read_process },
};

/* What it does not know it leaves alone. */
static bool
read_line(struct handover *h, struct str text)
{
	struct line l = { .rest = text };
	struct str word = str_cut(&l.rest, ' ');
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_eq(word, str_of(words[i].name)))
			words[i].read(h, &l);
	for (int k = 0; k < INHERITED_KINDS; k++)
		if (str_eq(word, str_of(kinds[k])))
			read_socket(h, &l, (enum inherited_kind)k);
	return !l.bad;
}

int
handover_parse(struct str text, struct handover *h, struct fault *why)
{
	*h = (struct handover){
		.log_level = LOG_LEVEL_INFO, .log_fd = -1, .oom_others = -1
	};
	if (!str_eq(str_cut(&text, '\n'), str_of(magic)))
		return fault_set(why, FAULT_OURS, "it is of another kind");
	while (text.len > 0) {
		struct str line = str_cut(&text, '\n');
		if (str_eq(line, STR("end")) && text.len == 0)
			return 0;
		if (!read_line(h, line))
			break;
	}
	handover_clear(h);
	return fault_set(why, FAULT_OURS, "it is damaged");
}

void
handover_clear(struct handover *h)
{
	for (size_t i = 0; i < h->nsockets; i++)
		free((void *)(uintptr_t)h->sockets[i].path);
	free(h->sockets);
	free(h->processes);
	explicit_bzero(h, sizeof(*h));
	h->log_fd = -1;
}

/* --- handed on --- */

static void
set_cloexec(int fd, bool on)
{
	if (fd >= 0)
		(void)fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0);
}

static void
set_all(const struct handover *h, bool on)
{
	set_cloexec(h->log_fd, on);
	for (size_t i = 0; i < h->nsockets; i++)
		set_cloexec(h->sockets[i].fd, on);
	for (size_t i = 0; i < h->nprocesses; i++) {
		set_cloexec(h->processes[i].parent, on);
		set_cloexec(h->processes[i].queue, on);
	}
}

static int
write_all(int fd, struct str s)
{
	while (s.len > 0) {
		ssize_t n = write(fd, s.p, s.len);
		if (n <= 0)
			return -1;
		s = str_skip(s, (size_t)n);
	}
	return 0;
}

int
handover_write(const struct handover *h, struct fault *why)
{
	struct buf text;
	int fd = memfd_create("postern-handover", MFD_ALLOW_SEALING);
	buf_init(&text, TEXT_MAX);
	text.secret = true;
	handover_format(h, &text);
	if (fd == -1 || text.failed || write_all(fd, buf_str(&text)) == -1 ||
	    fcntl(fd, F_ADD_SEALS, SEALS) == -1) {
		fault_errno(why, FAULT_OURS, "handover");
		if (fd != -1)
			close(fd);
		fd = -1;
	} else
		set_all(h, false);
	buf_clear(&text);
	return fd;
}

void
handover_take_back(const struct handover *h, int fd)
{
	set_all(h, true);
	if (fd != -1)
		close(fd);
}

/* --- taken --- */

static bool
is_socket(int fd, bool listens)
{
	int type = 0, accepts = 0;
	socklen_t len = sizeof(type), len2 = sizeof(accepts);
	return fd > STDERR_FILENO &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_STREAM &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &len2) ==
		   0 &&
	       (accepts != 0) == listens;
}

/* Is accepted on until there is nobody, whoever made it. */
static bool
is_listener(int fd)
{
	return is_socket(fd, true) && fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

/* A descriptor that is not what it was said to be is left out. */
static void
check_descriptors(struct handover *h)
{
	size_t n = 0;
	for (size_t i = 0; i < h->nsockets; i++) {
		if (is_listener(h->sockets[i].fd))
			h->sockets[n++] = h->sockets[i];
		else
			free((void *)(uintptr_t)h->sockets[i].path);
	}
	h->nsockets = n;
	if (h->log_fd <= STDERR_FILENO || fcntl(h->log_fd, F_GETFD) == -1)
		h->log_fd = -1;
	for (size_t i = 0; i < h->nprocesses; i++) {
		struct handed_process *p = &h->processes[i];
		if (!is_socket(p->parent, false))
			p->parent = -1;
		if (!is_socket(p->queue, false))
			p->queue = -1;
	}
}

/* Sealed, so that nobody writes it any more: one of ours. */
static int
read_text(int fd, struct buf *text)
{
	struct stat st;
	char *room;
	if (fcntl(fd, F_GET_SEALS) != SEALS || fstat(fd, &st) == -1 ||
	    st.st_size > TEXT_MAX)
		return -1;
	room = buf_reserve(text, (size_t)st.st_size);
	if (room == NULL ||
	    pread(fd, room, (size_t)st.st_size, 0) != (ssize_t)st.st_size)
		return -1;
	buf_commit(text, (size_t)st.st_size);
	return 0;
}

int
handover_read(struct handover *h, struct fault *why)
{
	const char *value = getenv(HANDOVER_VARIABLE);
	struct buf text;
	uint64_t fd;
	*h = (struct handover){ .log_fd = -1 };
	if (value == NULL || str_to_u64(str_of(value), INT32_MAX, &fd) == -1 ||
	    fd <= STDERR_FILENO)
		return 0;
	buf_init(&text, TEXT_MAX);
	text.secret = true;
	int rc = read_text((int)fd, &text);
	if (rc == 0) {
		rc = handover_parse(buf_str(&text), h, why) == -1 ? -1 : 1;
		close((int)fd);
	} else
		rc = 0;
	buf_clear(&text);
	if (rc != 1)
		return rc;
	set_all(h, true);
	check_descriptors(h);
	return 1;
}

static int
compare(const void *a, const void *b)
{
	const int *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

int *
handover_descriptors(const struct handover *h, size_t *n)
{
	int *fds = xcalloc(h->nsockets + 2 * h->nprocesses + 1, sizeof(*fds));
	*n = 0;
	if (h->log_fd != -1)
		fds[(*n)++] = h->log_fd;
	for (size_t i = 0; i < h->nsockets; i++)
		fds[(*n)++] = h->sockets[i].fd;
	for (size_t i = 0; i < h->nprocesses; i++) {
		const struct handed_process *p = &h->processes[i];
		if (p->parent != -1)
			fds[(*n)++] = p->parent;
		if (p->queue != -1)
			fds[(*n)++] = p->queue;
	}
	qsort(fds, *n, sizeof(*fds), compare);
	return fds;
}
