/* The files in log/; see inventory.h. */
#include "queue/inventory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "queue/damage.h"
#include "queue/disk.h"

enum { SCAN_CHUNK = 262144 };

enum headers {
	HEADERS_GOOD,
	HEADERS_BAD,
	HEADERS_ABSENT,    /* the file was never finished */
	HEADERS_UNREADABLE /* errno: the disk does not say */
};

static int
parse_name(const char *name, uint32_t *number)
{
	uint32_t n = 0;
	size_t i;

	for (i = 0; name[i] != '\0'; i++) {
		if (name[i] >= '0' && name[i] <= '9')
			n = n << 4 | (uint32_t)(name[i] - '0');
		else if (name[i] >= 'a' && name[i] <= 'f')
			n = n << 4 | (uint32_t)(name[i] - 'a' + 10);
		else
			return -1;
	}
	*number = n;
	return i == JOURNAL_NAME - 1 ? 0 : -1;
}

/* Zeros to the end: filling it was interrupted. */
static enum headers
look_for_zeros(int fd)
{
	uint8_t *p = xmalloc(SCAN_CHUNK);
	uint64_t at = 0;
	int64_t n;
	bool zero = true;

	do {
		n = disk_read(fd, p, SCAN_CHUNK, at);
		for (int64_t i = 0; i < n && zero; i++)
			zero = p[i] == 0;
		at += SCAN_CHUNK;
	} while (zero && n == SCAN_CHUNK);
	free(p);
	if (n == -1)
		return HEADERS_UNREADABLE;
	return zero ? HEADERS_ABSENT : HEADERS_BAD;
}

static enum headers
read_header(int fd, uint64_t offset, struct segment_header *out)
{
	uint8_t block[SEGMENT_BLOCK] = { 0 };

	if (disk_read(fd, block, sizeof(block), offset) == -1)
		return HEADERS_UNREADABLE;
	return segment_header_decode(block, out) == 0 ? HEADERS_GOOD :
							HEADERS_BAD;
}

/* Of two good ones the one that counts goes into *out. */
static enum headers
read_headers(int fd, struct segment_header *out)
{
	struct segment_header *second = xmalloc(sizeof(*second));
	enum headers a = read_header(fd, 0, out);
	enum headers b = read_header(fd, SEGMENT_BLOCK, second);

	if (b == HEADERS_GOOD &&
	    (a != HEADERS_GOOD || second->generation > out->generation))
		*out = *second;
	free(second);
	if (a == HEADERS_GOOD || b == HEADERS_GOOD)
		return HEADERS_GOOD;
	if (a == HEADERS_UNREADABLE || b == HEADERS_UNREADABLE)
		return HEADERS_UNREADABLE;
	return look_for_zeros(fd);
}

static struct found_segment *
add_found(struct inventory *v)
{
	if (v->n == v->cap) {
		v->cap = v->cap * 2 + 16;
		v->found = xreallocarray(v->found, v->cap, sizeof(*v->found));
	}
	memset(&v->found[v->n], 0, sizeof(*v->found));
	return &v->found[v->n++];
}

static void
add_spare(struct inventory *v, uint32_t number)
{
	if (v->nspares == v->capspares) {
		v->capspares = v->capspares * 2 + 16;
		v->spares =
		    xreallocarray(v->spares, v->capspares, sizeof(*v->spares));
	}
	v->spares[v->nspares++] = number;
}

static void
remove_file(struct journal *j, uint32_t number)
{
	if (journal_remove(j->dir, number) == -1)
		log_warn(NULL, "spool", "segment=%08" PRIx32 " unlink=%s",
		    number, log_cstr(strerror(errno)));
}

static void
raise_counters(struct journal *j, const struct segment_header *h)
{
	if (h->generation > j->last_generation)
		j->last_generation = h->generation;
	if (h->next_batch > j->next_batch)
		j->next_batch = h->next_batch;
	if (h->last_seq > j->last_seq)
		j->last_seq = h->last_seq;
}

/* What is wrong with the file, or NULL when it was taken in. */
static const char *
take_file(struct inventory *v, struct journal *j, int fd, const char *name)
{
	struct segment_header h;
	struct found_segment *f;
	struct stat st;
	uint32_t number;

	if (parse_name(name, &number) == -1)
		return "not the name of a segment";
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		return "not a file";
	if (number >= j->next_number)
		j->next_number = number + 1;
	switch (read_headers(fd, &h)) {
	case HEADERS_GOOD:
		break;
	case HEADERS_BAD:
		return "no header of the segment is readable";
	case HEADERS_ABSENT:
		remove_file(j, number);
		return NULL;
	case HEADERS_UNREADABLE:
		/* Not damage: the start fails, and the file stays. */
		fault_errno(&v->trouble, FAULT_OURS, "log/%s", name);
		return NULL;
	}
	raise_counters(j, &h);
	if (h.number != number)
		return "the header names another file";
	if (h.size < SEGMENT_DATA || h.size > INT64_MAX)
		return "a size that cannot be";
	if (h.generation == 0) {
		if (h.size == j->segment_size && (uint64_t)st.st_size == h.size)
			add_spare(v, number);
		else
			remove_file(j, number);
		return NULL;
	}
	f = add_found(v);
	memcpy(f->name, name, JOURNAL_NAME);
	f->header = h;
	f->is_whole = (uint64_t)st.st_size == h.size;
	/* A header cannot make us read more than there is. */
	if ((uint64_t)st.st_size < h.size)
		f->header.size = round_up((uint64_t)st.st_size, SEGMENT_BLOCK);
	return NULL;
}

static int
look_at(struct inventory *v, struct journal *j, int corrupt, const char *name,
    struct fault *why)
{
	const char *wrong;
	int fd = openat(
	    v->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd == -1 && errno != ELOOP && errno != ENXIO)
		return fault_errno(why, FAULT_OURS, "log/%s", name);
	wrong = fd == -1 ? "not a file" : take_file(v, j, fd, name);
	disk_close(fd);
	if (v->trouble.class != FAULT_NONE)
		return fault_set(why, v->trouble.class, "%s", v->trouble.text);
	if (wrong != NULL)
		damage_move(corrupt, v->dir, name, wrong);
	return 0;
}

static int
by_generation(const void *a, const void *b)
{
	const struct found_segment *x = a, *y = b;

	return x->header.generation < y->header.generation ?
		   -1 :
		   x->header.generation > y->header.generation;
}

/* Two files of one generation: a copy somebody made. */
static void
drop_twins(struct inventory *v, int corrupt)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++) {
		if (n > 0 && v->found[i].header.generation ==
				 v->found[n - 1].header.generation)
			damage_move(corrupt, v->dir, v->found[i].name,
			    "a second segment of one generation");
		else
			v->found[n++] = v->found[i];
	}
	v->n = n;
}

int
inventory_read(
    struct inventory *v, struct journal *j, int corrupt, struct fault *why)
{
	struct dirent *e;
	DIR *d;
	int rc = 0, fd;

	memset(v, 0, sizeof(*v));
	v->dir = j->dir;
	fd = openat(j->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return fault_errno(why, FAULT_OURS, "log");
	d = fdopendir(fd);
	if (d == NULL) {
		disk_close(fd);
		return fault_errno(why, FAULT_OURS, "log");
	}
	errno = 0;
	while (rc == 0 && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = look_at(v, j, corrupt, e->d_name, why);
		errno = 0;
	}
	if (rc == 0 && errno != 0)
		rc = fault_errno(why, FAULT_OURS, "log");
	closedir(d);
	if (rc == 0 && v->n > 0) {
		qsort(v->found, v->n, sizeof(*v->found), by_generation);
		drop_twins(v, corrupt);
	}
	return rc;
}

void
inventory_spares(struct inventory *v, struct journal *j)
{
	for (size_t i = 0; i < v->nspares; i++) {
		char name[JOURNAL_NAME];
		uint32_t index;
		int fd = -1;

		journal_name(v->spares[i], name);
		if (j->nspares < JOURNAL_SPARES)
			fd = openat(j->dir, name, O_RDWR | O_CLOEXEC);
		if (fd == -1) {
			remove_file(j, v->spares[i]);
			continue;
		}
		index = journal_add(j);
		j->segments[index].number = v->spares[i];
		journal_add_spare(j, index, fd, j->segment_size);
	}
}

void
inventory_clear(struct inventory *v)
{
	for (size_t i = 0; i < v->n; i++)
		scan_clear(&v->found[i].scan);
	free(v->found);
	free(v->spares);
	memset(v, 0, sizeof(*v));
}

int
inventory_open(const struct inventory *v, const struct found_segment *f)
{
	return openat(v->dir, f->name, O_RDONLY | O_CLOEXEC);
}
