/* The parent's side of a table: entries in, one sealed memfd out. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/bytes.h"
#include "lib/rules/table.h"
#include "lib/rules/table_image.h"

struct entry {
	char *key; /* folded */
	char *value;
	uint32_t key_len, value_len;
	uint32_t hash;
};

struct net {
	struct addr_net net;
	uint32_t entry;
};

struct table_builder {
	char *name;
	struct entry *entries;
	uint32_t nentries, entries_cap;
	struct net *nets;
	uint32_t nnets, nets_cap;
	uint32_t *slots;  /* entry + 1; 0: free */
	uint32_t nslots;  /* a power of two, at least twice the entries */
	uint64_t strings; /* bytes */
};

struct table_builder *
table_builder_new(const char *name)
{
	struct table_builder *b = xcalloc(1, sizeof(*b));

	b->name = xstrdup(name);
	b->nslots = 8;
	b->slots = xcalloc(b->nslots, sizeof(*b->slots));
	return b;
}

static void
builder_free(struct table_builder **bp)
{
	struct table_builder *b = *bp;
	uint32_t i;

	*bp = NULL;
	for (i = 0; i < b->nentries; i++) {
		struct entry *e = &b->entries[i];

		/* It may be a password's hash. */
		if (e->value != NULL)
			explicit_bzero(e->value, e->value_len);
		free(e->key);
		free(e->value);
	}
	free(b->entries);
	free(b->nets);
	free(b->slots);
	free(b->name);
	free(b);
}

size_t
table_builder_count(const struct table_builder *b)
{
	return b->nentries;
}

/* The slot of key, or the free one where it belongs. */
static uint32_t
find_slot(const struct table_builder *b, uint32_t hash, struct str key)
{
	uint32_t i = hash & (b->nslots - 1);

	while (b->slots[i] != 0) {
		const struct entry *e = &b->entries[b->slots[i] - 1];

		if (e->hash == hash &&
		    str_eq_nocase((struct str){ e->key, e->key_len }, key))
			break;
		i = (i + 1) & (b->nslots - 1);
	}
	return i;
}

static void
grow_slots(struct table_builder *b)
{
	uint32_t i, at;

	free(b->slots);
	b->nslots *= 2;
	b->slots = xcalloc(b->nslots, sizeof(*b->slots));
	for (i = 0; i < b->nentries; i++) {
		at = b->entries[i].hash & (b->nslots - 1);
		while (b->slots[at] != 0)
			at = (at + 1) & (b->nslots - 1);
		b->slots[at] = i + 1;
	}
}

static void
add_net(struct table_builder *b, const struct addr_net *net, uint32_t entry)
{
	if (b->nnets == b->nets_cap) {
		b->nets_cap = b->nets_cap == 0 ? 8 : b->nets_cap * 2;
		b->nets = xreallocarray(b->nets, b->nets_cap, sizeof(*b->nets));
	}
	b->nets[b->nnets++] = (struct net){ *net, entry };
}

static void
add_entry(
    struct table_builder *b, struct str key, uint32_t hash, const char *value)
{
	struct entry *e;
	size_t i;

	if (b->nentries == b->entries_cap) {
		b->entries_cap = b->entries_cap == 0 ? 8 : b->entries_cap * 2;
		b->entries = xreallocarray(
		    b->entries, b->entries_cap, sizeof(*b->entries));
	}
	e = &b->entries[b->nentries++];
	e->key = str_dup(key);
	for (i = 0; i < key.len; i++)
		e->key[i] = chr_lower(e->key[i]);
	e->key_len = (uint32_t)key.len;
	e->value = value == NULL ? NULL : xstrdup(value);
	e->value_len = value == NULL ? 0 : (uint32_t)strlen(value);
	e->hash = hash;
	b->strings += e->key_len + e->value_len;
}

int
table_builder_add(struct table_builder *b, struct str key, const char *value,
    struct fault *why)
{
	uint32_t hash = table_hash_end(table_hash_add(TABLE_HASH_INIT, key));
	struct addr_net net;
	uint32_t slot;

	if (key.len == 0)
		return fault_set(why, FAULT_PERM, "empty key");
	if (key.len > TABLE_KEY_MAX)
		return fault_set(
		    why, FAULT_PERM, "key longer than %d bytes", TABLE_KEY_MAX);
	if (value != NULL && strlen(value) > TABLE_VALUE_MAX)
		return fault_set(why, FAULT_PERM, "value longer than %d bytes",
		    TABLE_VALUE_MAX);
	if (b->nentries == TABLE_ENTRIES_MAX ||
	    b->strings > UINT32_MAX - TABLE_KEY_MAX - TABLE_VALUE_MAX)
		return fault_set(why, FAULT_PERM, "too many entries");
	slot = find_slot(b, hash, key);
	if (b->slots[slot] != 0)
		return fault_set(why, FAULT_PERM, "`%.*s' stands there twice",
		    (int)(key.len > 100 ? 100 : key.len), key.p);
	add_entry(b, key, hash, value);
	b->slots[slot] = b->nentries;
	if (addr_net_parse(key, &net) == 0)
		add_net(b, &net, b->nentries - 1);
	if (b->nentries > b->nslots / 2)
		grow_slots(b);
	return 0;
}

/* By family, longest prefix first, then by address. */
static int
net_cmp(const void *pa, const void *pb)
{
	const struct net *a = pa, *b = pb;

	if (a->net.addr.family != b->net.addr.family)
		return a->net.addr.family < b->net.addr.family ? -1 : 1;
	if (a->net.bits != b->net.bits)
		return a->net.bits > b->net.bits ? -1 : 1;
	return memcmp(a->net.addr.bytes, b->net.addr.bytes, 16);
}

static int
sort_nets(struct table_builder *b, struct fault *why)
{
	char text[ADDR_TEXT_MAX];
	uint32_t i;

	if (b->nnets == 0)
		return 0;
	qsort(b->nets, b->nnets, sizeof(*b->nets), net_cmp);
	for (i = 1; i < b->nnets; i++)
		if (net_cmp(&b->nets[i - 1], &b->nets[i]) == 0)
			return fault_set(why, FAULT_PERM,
			    "the network %s/%u stands there twice",
			    addr_format(&b->nets[i].net.addr, text),
			    b->nets[i].net.bits);
	return 0;
}

static size_t
image_size(const struct table_builder *b)
{
	return TABLE_HEADER_SIZE + (size_t)b->nslots * TABLE_SLOT_SIZE +
	       (size_t)b->nentries * TABLE_ENTRY_SIZE +
	       (size_t)b->nnets * TABLE_NET_SIZE + (size_t)b->strings;
}

static uint8_t *
put_slots(const struct table_builder *b, uint8_t *p)
{
	uint32_t i;

	for (i = 0; i < b->nslots; i++, p += TABLE_SLOT_SIZE) {
		uint32_t slot = b->slots[i];

		put_le32(p, slot == 0 ? 0 : b->entries[slot - 1].hash);
		put_le32(p + 4, slot);
	}
	return p;
}

static uint8_t *
put_nets(const struct table_builder *b, uint8_t *p)
{
	uint32_t i;

	for (i = 0; i < b->nnets; i++, p += TABLE_NET_SIZE) {
		const struct net *n = &b->nets[i];

		p[0] = n->net.addr.family;
		p[1] = n->net.bits;
		put_le16(p + 2, 0);
		memcpy(p + TABLE_NET_ADDR, n->net.addr.bytes, 16);
		put_le32(p + TABLE_NET_ENTRY, n->entry);
	}
	return p;
}

/* Entries and, at strings, the bytes they speak of. */
static void
put_entries(const struct table_builder *b, uint8_t *p, uint8_t *strings)
{
	uint32_t i, at = 0;

	for (i = 0; i < b->nentries; i++, p += TABLE_ENTRY_SIZE) {
		const struct entry *e = &b->entries[i];

		put_le32(p, at);
		put_le32(p + 4, e->key_len);
		memcpy(strings + at, e->key, e->key_len);
		at += e->key_len;
		put_le32(p + 8, at);
		put_le32(p + 12, e->value_len);
		if (e->value_len > 0)
			memcpy(strings + at, e->value, e->value_len);
		at += e->value_len;
	}
}

static uint8_t *
make_image(const struct table_builder *b, size_t size)
{
	uint8_t *image = xmalloc(size), *entries, *strings;

	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): bytes */
	memcpy(image + TABLE_AT_MAGIC, TABLE_MAGIC, 8);
	put_le64(image + TABLE_AT_SIZE, size);
	put_le32(image + TABLE_AT_SLOTS, b->nslots);
	put_le32(image + TABLE_AT_ENTRIES, b->nentries);
	put_le32(image + TABLE_AT_NETS, b->nnets);
	put_le32(image + TABLE_AT_STRINGS, (uint32_t)b->strings);
	entries = put_slots(b, image + TABLE_HEADER_SIZE);
	strings = put_nets(b, entries + (size_t)b->nentries * TABLE_ENTRY_SIZE);
	put_entries(b, entries, strings);
	return image;
}

static int
write_all(int fd, const uint8_t *p, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(fd, p, len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
seal_image(const uint8_t *image, size_t size, struct fault *why)
{
	int fd = memfd_create("postern-table", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1)
		return fault_errno(why, FAULT_OURS, "memfd_create");
	if (write_all(fd, image, size) == -1 ||
	    fcntl(fd, F_ADD_SEALS,
		F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) ==
		-1) {
		fault_errno(why, FAULT_OURS, "cannot write the table");
		close(fd);
		return -1;
	}
	return fd;
}

int
table_builder_seal(struct table_builder **bp, struct fault *why)
{
	uint8_t *image;
	size_t size;
	int fd = -1;

	if (sort_nets(*bp, why) == 0) {
		size = image_size(*bp);
		image = make_image(*bp, size);
		fd = seal_image(image, size, why);
		explicit_bzero(image, size);
		free(image);
	}
	builder_free(bp);
	return fd;
}
