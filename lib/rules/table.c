/*
 * A table as everybody reads it: a sealed image, mapped read-only.
 *
 * The image came from another process, so table_open checks all of it once;
 * being sealed it cannot change afterwards, and look-ups go without checks.
 */
#include "lib/rules/table.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/bytes.h"
#include "lib/rules/table_image.h"

/* Networks of one family and prefix length: a run of the sorted ones. */
struct group {
	uint8_t family, bits;
	uint32_t first, count;
};

struct table {
	char *name;
	uint8_t *map;
	size_t size;
	uint32_t nslots, nentries, nnets, nstrings;
	const uint8_t *slots, *entries, *nets;
	const char *strings;
	struct group *groups; /* longest prefix first within a family */
	size_t ngroups;
};

static int
check_seals(int fd, size_t *size, struct fault *why)
{
	const int want = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals == -1 || (seals & want) != want)
		return fault_set(why, FAULT_OURS, "table image is not sealed");
	if (fstat(fd, &st) == -1)
		return fault_errno(why, FAULT_OURS, "table image");
	if (st.st_size < TABLE_HEADER_SIZE)
		return fault_set(why, FAULT_OURS, "table image is too short");
	*size = (size_t)st.st_size;
	return 0;
}

/* The parts lie one behind the other and fill the image exactly. */
static int
check_layout(struct table *t)
{
	const uint8_t *p = t->map;
	uint64_t need;

	if (memcmp(p + TABLE_AT_MAGIC, TABLE_MAGIC, 8) != 0 ||
	    get_le64(p + TABLE_AT_SIZE) != t->size)
		return -1;
	t->nslots = get_le32(p + TABLE_AT_SLOTS);
	t->nentries = get_le32(p + TABLE_AT_ENTRIES);
	t->nnets = get_le32(p + TABLE_AT_NETS);
	t->nstrings = get_le32(p + TABLE_AT_STRINGS);
	if (t->nslots == 0 || (t->nslots & (t->nslots - 1)) != 0 ||
	    t->nentries >= t->nslots || t->nnets > t->nentries)
		return -1;
	need = TABLE_HEADER_SIZE + (uint64_t)t->nslots * TABLE_SLOT_SIZE +
	       (uint64_t)t->nentries * TABLE_ENTRY_SIZE +
	       (uint64_t)t->nnets * TABLE_NET_SIZE + t->nstrings;
	if (need != t->size)
		return -1;
	t->slots = p + TABLE_HEADER_SIZE;
	t->entries = t->slots + (size_t)t->nslots * TABLE_SLOT_SIZE;
	t->nets = t->entries + (size_t)t->nentries * TABLE_ENTRY_SIZE;
	t->strings = (const char *)t->nets + (size_t)t->nnets * TABLE_NET_SIZE;
	return 0;
}

static bool
in_strings(const struct table *t, uint32_t at, uint32_t len)
{
	return at <= t->nstrings && len <= t->nstrings - at;
}

static int
check_entries(const struct table *t)
{
	const uint8_t *e = t->entries;
	uint32_t i, used = 0;

	for (i = 0; i < t->nentries; i++, e += TABLE_ENTRY_SIZE)
		if (!in_strings(t, get_le32(e), get_le32(e + 4)) ||
		    !in_strings(t, get_le32(e + 8), get_le32(e + 12)))
			return -1;
	for (i = 0; i < t->nslots; i++) {
		uint32_t entry =
		    get_le32(t->slots + (size_t)i * TABLE_SLOT_SIZE + 4);

		if (entry > t->nentries)
			return -1;
		used += entry != 0;
	}
	/* With as many free slots as there should be every probe ends. */
	return used == t->nentries ? 0 : -1;
}

static const uint8_t *
net_at(const struct table *t, uint32_t i)
{
	return t->nets + (size_t)i * TABLE_NET_SIZE;
}

/* Is b allowed behind a? */
static bool
nets_ordered(const uint8_t *a, const uint8_t *b)
{
	if (a[0] != b[0])
		return a[0] < b[0];
	if (a[1] != b[1])
		return a[1] > b[1];
	return memcmp(a + TABLE_NET_ADDR, b + TABLE_NET_ADDR, 16) < 0;
}

static int
check_net(const struct table *t, uint32_t i)
{
	const uint8_t *n = net_at(t, i);

	if (n[0] != ADDR_V4 && n[0] != ADDR_V6)
		return -1;
	if (n[1] > (n[0] == ADDR_V4 ? 32 : 128) ||
	    get_le32(n + TABLE_NET_ENTRY) >= t->nentries)
		return -1;
	return i == 0 || nets_ordered(net_at(t, i - 1), n) ? 0 : -1;
}

static int
check_nets(struct table *t)
{
	uint32_t i;

	for (i = 0; i < t->nnets; i++) {
		const uint8_t *n = net_at(t, i);
		struct group *g;

		if (check_net(t, i) == -1)
			return -1;
		if (t->ngroups > 0) {
			g = &t->groups[t->ngroups - 1];
			if (g->family == n[0] && g->bits == n[1]) {
				g->count++;
				continue;
			}
		}
		/* At most one for each of the 33 + 129 prefix lengths. */
		t->groups = xreallocarray(
		    t->groups, t->ngroups + 1, sizeof(*t->groups));
		t->groups[t->ngroups++] = (struct group){ n[0], n[1], i, 1 };
	}
	return 0;
}

struct table *
table_open(int fd, const char *name, struct fault *why)
{
	struct table *t = xcalloc(1, sizeof(*t));
	void *map;

	t->name = xstrdup(name);
	if (check_seals(fd, &t->size, why) == -1)
		goto fail;
	map = mmap(NULL, t->size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		fault_errno(why, FAULT_OURS, "table image");
		goto fail;
	}
	t->map = map;
	if (check_layout(t) == -1 || check_entries(t) == -1 ||
	    check_nets(t) == -1) {
		fault_set(why, FAULT_OURS, "table image is not sound");
		goto fail;
	}
	close(fd);
	return t;
fail:
	close(fd);
	table_free(&t);
	return NULL;
}

void
table_free(struct table **tp)
{
	struct table *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	if (t->map != NULL)
		munmap(t->map, t->size);
	free(t->groups);
	free(t->name);
	free(t);
}

int
table_replace(struct table *t, int fd, struct fault *why)
{
	struct table *next = table_open(fd, t->name, why);
	struct table old = *t;

	if (next == NULL)
		return -1;
	*t = *next;
	*next = old;
	table_free(&next);
	return 0;
}

const char *
table_name(const struct table *t)
{
	return t->name;
}

bool
table_is_anonymous(const struct table *t)
{
	return str_starts_nocase(str_of(table_name(t)), STR(TABLE_ANONYMOUS));
}

size_t
table_count(const struct table *t)
{
	return t->nentries;
}

static struct str
string_at(const struct table *t, const uint8_t *where)
{
	return (
	    struct str){ t->strings + get_le32(where), get_le32(where + 4) };
}

static const uint8_t *
entry_at(const struct table *t, uint32_t i)
{
	return t->entries + (size_t)i * TABLE_ENTRY_SIZE;
}

bool
table_any(const struct table *t,
    bool (*fn)(void *ctx, struct str key, struct str value), void *ctx)
{
	uint32_t i;

	for (i = 0; i < t->nslots; i++) {
		uint32_t entry =
		    get_le32(t->slots + (size_t)i * TABLE_SLOT_SIZE + 4);

		if (entry != 0 && fn(ctx, string_at(t, entry_at(t, entry - 1)),
				      string_at(t, entry_at(t, entry - 1) + 8)))
			return true;
	}
	return false;
}

static bool
found(const struct table *t, uint32_t entry, struct str *value)
{
	if (value != NULL)
		*value = string_at(t, entry_at(t, entry) + 8);
	return true;
}

/* A key is looked up in up to three pieces, so that user@domain need not be
 * put together. */
enum { PIECES = 3 };

static bool
key_is(struct str key, const struct str pieces[static PIECES])
{
	size_t i;

	for (i = 0; i < PIECES; i++) {
		if (!str_eq_nocase(str_head(key, pieces[i].len), pieces[i]))
			return false;
		key = str_skip(key, pieces[i].len);
	}
	return key.len == 0;
}

static bool
find_pieces(const struct table *t, const struct str pieces[static PIECES],
    struct str *value)
{
	uint64_t h = TABLE_HASH_INIT;
	uint32_t hash, i, entry;
	size_t n;

	for (n = 0; n < PIECES; n++)
		h = table_hash_add(h, pieces[n]);
	hash = table_hash_end(h);
	for (i = hash & (t->nslots - 1);; i = (i + 1) & (t->nslots - 1)) {
		const uint8_t *slot = t->slots + (size_t)i * TABLE_SLOT_SIZE;

		entry = get_le32(slot + 4);
		if (entry == 0)
			return false;
		if (get_le32(slot) == hash &&
		    key_is(string_at(t, entry_at(t, entry - 1)), pieces))
			return found(t, entry - 1, value);
	}
}

bool
table_find(const struct table *t, struct str key, struct str *value)
{
	const struct str pieces[PIECES] = { key };

	return find_pieces(t, pieces, value);
}

bool
table_find_domain(const struct table *t, struct str domain, struct str *value)
{
	size_t dot;

	if (domain.len == 0)
		return false;
	if (table_find(t, domain, value))
		return true;
	/* From the first byte on: ".example.com" is not below itself. */
	for (domain = str_skip(domain, 1); domain.len > 0;
	     domain = str_skip(domain, dot + 1)) {
		dot = str_find(domain, '.');
		if (dot < domain.len &&
		    table_find(t, str_skip(domain, dot), value))
			return true;
	}
	return false;
}

bool
table_find_address(const struct table *t, struct str local, struct str domain,
    struct str *value)
{
	const struct str whole[PIECES] = { local, STR("@"), domain };
	const struct str any_user[PIECES] = { STR("@"), domain };
	const struct str any_domain[PIECES] = { local, STR("@") };

	if (local.len == 0 && domain.len == 0)
		return table_find(t, STR("<>"), value);
	if (domain.len > 0 &&
	    (find_pieces(t, whole, value) || find_pieces(t, any_user, value)))
		return true;
	return local.len > 0 && find_pieces(t, any_domain, value);
}

/* Binary search among networks of one length; addr has its host bits zero. */
static bool
find_in_group(const struct table *t, const struct group *g,
    const uint8_t addr[16], struct str *value)
{
	uint32_t low = g->first, high = g->first + g->count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		const uint8_t *n = net_at(t, mid);
		int c = memcmp(addr, n + TABLE_NET_ADDR, 16);

		if (c == 0)
			return found(t, get_le32(n + TABLE_NET_ENTRY), value);
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return false;
}

static void
mask_addr(uint8_t addr[16], unsigned int bits)
{
	unsigned int i;

	for (i = bits / 8; i < 16; i++) {
		unsigned int keep = i == bits / 8 ? bits % 8 : 0;

		addr[i] &= (uint8_t)(0xff00 >> keep);
	}
}

int
table_find_network(
    const struct table *t, const struct addr *a, struct str *value)
{
	uint8_t addr[16];
	size_t i;

	memcpy(addr, a->bytes, sizeof(addr));
	for (i = 0; i < t->ngroups; i++) {
		const struct group *g = &t->groups[i];

		if (g->family != a->family)
			continue;
		/* Ever shorter, so what is masked stays masked. */
		mask_addr(addr, g->bits);
		if (find_in_group(t, g, addr, value))
			return g->bits;
	}
	return -1;
}

bool
table_find_source(
    const struct table *t, const struct addr *a, struct str *value)
{
	return table_find_network(t, a, value) >= 0;
}
