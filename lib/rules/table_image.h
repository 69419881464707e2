/*
 * The image of a table, as the parent writes it (table_build.c) and
 * everybody reads it (table.c). Little-endian, position-free:
 *
 *	header   magic, size of all, counts
 *	slots    open addressing, a power of two: hash, entry + 1 (0: free)
 *	entries  where key and value lie in the strings
 *	nets     sorted by family, then bits from long to short, then address
 *	strings
 */
#ifndef POSTERN_RULES_TABLE_IMAGE_H
#define POSTERN_RULES_TABLE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/str.h"

enum {
	TABLE_KEY_MAX = 1024,
	TABLE_VALUE_MAX = 4096,
	TABLE_ENTRIES_MAX = 1 << 28
};

#define TABLE_MAGIC "PSTNTBL1"

/* Offsets in the header. */
enum {
	TABLE_AT_MAGIC = 0,
	TABLE_AT_SIZE = 8,     /* u64 */
	TABLE_AT_SLOTS = 16,   /* u32, a power of two, more than entries */
	TABLE_AT_ENTRIES = 20, /* u32 */
	TABLE_AT_NETS = 24,    /* u32 */
	TABLE_AT_STRINGS = 28, /* u32, bytes */
	TABLE_HEADER_SIZE = 32
};

/* A slot: u32 hash, u32 entry + 1. */
enum { TABLE_SLOT_SIZE = 8 };

/* An entry: u32 key offset, u32 key length, u32 value offset, u32 length. */
enum { TABLE_ENTRY_SIZE = 16 };

/* A network: u8 family, u8 bits, u16 zero, 16 bytes of address, u32 entry. */
enum { TABLE_NET_SIZE = 24, TABLE_NET_ADDR = 4, TABLE_NET_ENTRY = 20 };

/* FNV-1a over the bytes folded to lower case, and a last mix, because slots
 * are taken by the low bits. The keys are the administrator's own, so nobody
 * else can choose ones that collide. */
#define TABLE_HASH_INIT UINT64_C(0xcbf29ce484222325)

static inline uint64_t
table_hash_add(uint64_t h, struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		h ^= (uint8_t)chr_lower(s.p[i]);
		h *= UINT64_C(0x100000001b3);
	}
	return h;
}

static inline uint32_t
table_hash_end(uint64_t h)
{
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	return (uint32_t)(h ^ h >> 32);
}

#endif
