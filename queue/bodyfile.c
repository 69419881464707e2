/* Body files; see bodyfile.h. */
#include "queue/bodyfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/tree.h"
#include "queue/damage.h"
#include "queue/disk.h"

enum { NAME_SIZE = 24 };

struct body {
	RB_ENTRY(body) entry;
	RB_ENTRY(body) by_number;
	uint64_t seq, number;
};

static int
body_cmp(const struct body *a, const struct body *b)
{
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static int
number_cmp(const struct body *a, const struct body *b)
{
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return body_cmp(a, b);
}

TREE_DEFINE(body_tree, body, entry, body_cmp)
TREE_DEFINE(number_tree, body, by_number, number_cmp)

static void
format_name(uint64_t number, char out[static NAME_SIZE])
{
	snprintf(out, NAME_SIZE, "%" PRIu64, number);
}

void
bodyfiles_init(struct bodyfiles *b, int dir, int corrupt)
{
	b->dir = dir;
	b->corrupt = corrupt;
	RB_INIT(&b->known);
	RB_INIT(&b->by_number);
}

void
bodyfiles_clear(struct bodyfiles *b)
{
	struct body *x, *next;

	RB_FOREACH_SAFE(x, body_tree, &b->known, next) {
		RB_REMOVE(body_tree, &b->known, x);
		free(x);
	}
	RB_INIT(&b->by_number);
}

int
bodyfile_create(const struct bodyfiles *b, uint64_t number)
{
	char name[NAME_SIZE];

	format_name(number, name);
	return openat(b->dir, name,
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

int
bodyfile_open(const struct bodyfiles *b, uint64_t number)
{
	char name[NAME_SIZE];

	format_name(number, name);
	return openat(b->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

int
bodyfile_sync(int dir, uint64_t number, uint64_t size, struct fault *why)
{
	char name[NAME_SIZE];
	struct stat st;
	int fd, rc = 0;

	format_name(number, name);
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return fault_errno(why, FAULT_OURS, "large/%s", name);
	if (fstat(fd, &st) == -1)
		rc = fault_errno(why, FAULT_OURS, "large/%s", name);
	else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size)
		rc = fault_set(why, FAULT_PEER,
		    "large/%s has not the size it was said to have", name);
	else if (disk_fsync(fd) == -1 || disk_fsync(dir) == -1)
		rc = fault_errno(why, FAULT_OURS, "sync of large/%s", name);
	disk_close(fd);
	return rc;
}

void
bodyfile_unlink(int dir, uint64_t number)
{
	char name[NAME_SIZE];

	format_name(number, name);
	if (unlinkat(dir, name, 0) == -1 && errno != ENOENT)
		log_warn(NULL, "spool", "bodyfile=%s unlink=%s", name,
		    log_cstr(strerror(errno)));
}

void
bodyfiles_add(struct bodyfiles *b, uint64_t seq, uint64_t number)
{
	struct body *x = xcalloc(1, sizeof(*x));

	x->seq = seq;
	x->number = number;
	if (RB_INSERT(body_tree, &b->known, x) != NULL)
		free(x);
	else
		RB_INSERT(number_tree, &b->by_number, x);
}

bool
bodyfiles_has(struct bodyfiles *b, uint64_t number)
{
	struct body key = { .number = number };
	const struct body *x = RB_NFIND(number_tree, &b->by_number, &key);

	return x != NULL && x->number == number;
}

uint64_t
bodyfiles_take(struct bodyfiles *b, uint64_t seq)
{
	struct body key = { .seq = seq };
	struct body *x = RB_FIND(body_tree, &b->known, &key);
	uint64_t number;

	if (x == NULL)
		return 0;
	number = x->number;
	RB_REMOVE(body_tree, &b->known, x);
	RB_REMOVE(number_tree, &b->by_number, x);
	free(x);
	return bodyfiles_has(b, number) ? 0 : number;
}

const char *
bodyfiles_claim(void *ctx, const struct mail_record *m)
{
	struct bodyfiles *b = ctx;
	char name[NAME_SIZE];
	struct stat st;

	format_name(m->bodyfile, name);
	if (fstatat(b->dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1) {
		if (errno == ENOENT)
			return "its body file is missing";
		/* Delivery will see whether that gets better. */
		log_warn(NULL, "spool", "bodyfile=%s error=%s", name,
		    log_cstr(strerror(errno)));
		bodyfiles_add(b, m->seq, m->bodyfile);
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != m->body_size) {
		damage_move(b->corrupt, b->dir, name,
		    "a body file of another size than its record says");
		return "its body file has the wrong size";
	}
	bodyfiles_add(b, m->seq, m->bodyfile);
	return NULL;
}

static int
u64_cmp(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The claimed numbers, sorted (they are known by seq). */
static uint64_t *
claimed(struct bodyfiles *b, size_t *n)
{
	struct body *x;
	uint64_t *all;
	size_t i = 0;

	RB_FOREACH(x, body_tree, &b->known)
		i++;
	all = xreallocarray(NULL, i + 1, sizeof(*all));
	i = 0;
	RB_FOREACH(x, body_tree, &b->known)
		all[i++] = x->number;
	qsort(all, i, sizeof(*all), u64_cmp);
	*n = i;
	return all;
}

struct sweep {
	struct bodyfiles *b;
	uint64_t *claimed; /* owned */
	size_t n;
	uint64_t highest;
	enum orphans orphans;
};

static void
sweep_name(struct sweep *w, const char *name)
{
	char again[NAME_SIZE];
	uint64_t number;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	if (str_to_u64(str_of(name), UINT64_MAX, &number) == 0)
		format_name(number, again);
	else
		again[0] = '\0';
	if (strcmp(again, name) != 0) {
		damage_move(w->b->corrupt, w->b->dir, name,
		    "not the name of a body file");
		return;
	}
	if (number > w->highest && number < UINT64_MAX / 2)
		w->highest = number;
	if (bsearch(&number, w->claimed, w->n, sizeof(number), u64_cmp) != NULL)
		return;
	switch (w->orphans) {
	case ORPHANS_REMOVED:
		bodyfile_unlink(w->b->dir, number);
		break;
	case ORPHANS_SET_ASIDE:
		damage_move(w->b->corrupt, w->b->dir, name,
		    "no readable record names this body file");
		break;
	case ORPHANS_LEFT:
		break;
	}
}

int
bodyfiles_sweep(struct bodyfiles *b, enum orphans orphans, uint64_t *highest,
    struct fault *why)
{
	struct sweep w = { .b = b, .highest = *highest, .orphans = orphans };
	int fd = openat(b->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *e;
	int rc = 0;

	if (d == NULL) {
		disk_close(fd);
		return fault_errno(why, FAULT_OURS, "large");
	}
	w.claimed = claimed(b, &w.n);
	errno = 0;
	while ((e = readdir(d)) != NULL) {
		sweep_name(&w, e->d_name);
		errno = 0;
	}
	if (errno != 0)
		rc = fault_errno(why, FAULT_OURS, "large");
	closedir(d);
	free(w.claimed);
	*highest = w.highest;
	return rc;
}
